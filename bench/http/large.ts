// Answers of 1 MiB, from a file that the backend has open.

import { LARGE_BYTES, LARGE_PATH } from "../backends.ts";
import { loadOn, type Measurement, runLoad } from "../engine/measurement.ts";
import type { DownloadRequest, DownloadResult } from "../load/download.ts";
import { BULK_COLUMNS, bulkSample, OF_GATEWAYS, urlOf } from "./contestants.ts";
import { h2load } from "./h2load.ts";

const CONNECTIONS = 16;
const H2_CONNECTIONS = 4;
const H2_STREAMS = 4;

const common = {
  ...OF_GATEWAYS,
  backend: "http",
  columns: BULK_COLUMNS,
} as const;

export const http1Large: Measurement = {
  ...common,
  name: "http1-1m",
  title: `HTTP/1.1, ${CONNECTIONS} connections, answers of 1 MiB`,
  async run(peer, scale) {
    const request: DownloadRequest = {
      ...loadOn(peer, scale),
      path: LARGE_PATH,
      bodyBytes: LARGE_BYTES,
      connections: CONNECTIONS,
      runMs: scale.durationMs,
    };
    const result = await runLoad<DownloadResult>("download.ts", request);
    const { answers, elapsedMs, p50Us, p99Us } = result;
    return { ...bulkSample(answers * LARGE_BYTES, elapsedMs, result), p50Us, p99Us };
  },
};

export const http2Large: Measurement = {
  ...common,
  name: "http2-1m",
  title: `HTTP/2 over TLS, ${H2_CONNECTIONS} connections × ${H2_STREAMS} streams, answers of 1 MiB, backend HTTP/1.1`,
  async run(peer, scale) {
    const load = { connections: H2_CONNECTIONS, streams: H2_STREAMS };
    const result = await h2load(peer, scale, urlOf(peer, "tlsPort", LARGE_PATH), load);
    const { requests, perSecond, bytes, cpu, p50Us, p99Us } = result;
    const elapsedMs = (requests * 1000) / perSecond;
    return { ...bulkSample(bytes, elapsedMs, cpu), p50Us, p99Us };
  },
};
