// Limits and defaults of overload, with their reasons: how late threads may be, and how much the process may hold, before new
// work is turned away. Part of limits.ts.

/** How late threads are. */
export const LAG = {
  beatMs: 100, // between two looks at the clock: some microseconds of a thread's time a second, and lag to a tenth of a second
  windowMs: 500, // two of them are what the worst is of: what a person felt is there for whoever looks once a second
} as const;
