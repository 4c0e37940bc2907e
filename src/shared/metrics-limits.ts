// Bounds of what is counted, each with its reason beside it.

/** Of routes (route-names.ts) and targets. */
export const METRICS = {
  routesMax: 200, // of a listener, by name; those beyond are counted as one: 30 series each, and 240 bytes in each worker
  rememberedMax: 500, // routes, and targets, of listeners that were replaced: some of them come back with the next reload
  nameMax: 100, // characters of a route's name: it stands in every line of its metrics
} as const;
