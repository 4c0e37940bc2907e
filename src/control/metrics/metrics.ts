// Metrics in the two forms that scrapers ask for: the text format of Prometheus, and OpenMetrics. Invariant: nothing is kept
// between scrapes. Every value is read when it is asked for, from shared memory for the most part, so that they cost the data
// plane nothing. Called by the admin listener.

import { Counter, Gauge, type Metric, Registry, type RegistryContentType } from "prom-client";

import type { Answer } from "../admin/answer.ts";
import type { Family, Reading } from "./family.ts";
import { DURATION_NAME, durationsOf, histogramOf } from "./histogram.ts";
import { LISTENER_FAMILIES } from "./listeners.ts";
import { MACHINERY_FAMILIES } from "./machinery.ts";

const FAMILIES: readonly Family[] = [...LISTENER_FAMILIES, ...MACHINERY_FAMILIES];

/** @param accept the Accept field: OpenMetrics for whoever names it. */
export async function scrape(reading: Reading, prefix: string, accept: string): Promise<Answer> {
  const registry = new Registry<RegistryContentType>();
  if (accept.includes("application/openmetrics-text")) {
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  }
  for (const family of FAMILIES) fill(registry, family, reading, prefix);
  const durations = durationsOf(reading.listeners);
  if (durations.length > 0) {
    const histogram = histogramOf(`${prefix}${DURATION_NAME}`, durations);
    registry.registerMetric(histogram as unknown as Metric);
  }
  return { status: 200, type: registry.contentType, text: await registry.metrics() };
}

function fill(
  registry: Registry<RegistryContentType>,
  family: Family,
  reading: Reading,
  prefix: string,
): void {
  const { help, labels, type, bare = false } = family;
  const samples = [...family.read(reading)];
  if (samples.length === 0) return;
  const options = {
    name: bare ? family.name : `${prefix}${family.name}`,
    help,
    labelNames: [...labels],
    registers: [registry],
  };
  const metric = type === "counter" ? new Counter(options) : new Gauge(options);
  for (const [values, value] of samples) metric.labels(...values).inc(value);
}
