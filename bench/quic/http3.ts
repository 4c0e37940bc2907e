// HTTP/3 with a backend of HTTP/1.1: small answers of 100 bytes, and large ones of 1 MiB.

import { LARGE_BYTES, LARGE_PATH, SMALL_BYTES, SMALL_PATH } from "../backends.ts";
import { cpuPer, loadOn, type Measurement, runLoad, type Scale } from "../engine/measurement.ts";
import { BULK_COLUMNS, bulkSample, rateOf } from "../http/contestants.ts";
import type { Http3Request, Http3Result } from "../load/http3.ts";
import type { RunningPeer } from "../peers/peer.ts";
import { HTTP3_GATEWAYS, RELAY_WARM_MS } from "./contestants.ts";

const SMALL_AT_ONCE = 64;
const LARGE_AT_ONCE = 8;

const common = {
  group: "quic",
  backend: "http",
  freshPeer: false,
  contestants: HTTP3_GATEWAYS,
  relayWarmMs: RELAY_WARM_MS,
} as const;

function load(
  peer: RunningPeer,
  scale: Scale,
  path: string,
  bodyBytes: number,
  inParallel: number,
): Promise<Http3Result> {
  const request: Http3Request = {
    ...loadOn(peer, scale),
    url: `https://127.0.0.1:${peer.h3Port}${path}`,
    inParallel,
    bodyBytes,
    runMs: scale.durationMs,
  };
  return runLoad<Http3Result>("http3.ts", request);
}

export const http3Small: Measurement = {
  ...common,
  name: "http3-small",
  title: `HTTP/3, ${SMALL_AT_ONCE} requests at once on one connection, answers of ${SMALL_BYTES} B, backend HTTP/1.1`,
  columns: rateOf("requests/s", "request"),
  async run(peer, scale) {
    const result = await load(peer, scale, SMALL_PATH, SMALL_BYTES, SMALL_AT_ONCE);
    const { answers, elapsedMs, p50Us, p99Us } = result;
    return { rate: (answers * 1000) / elapsedMs, ...cpuPer(answers, result), p50Us, p99Us };
  },
};

export const http3Large: Measurement = {
  ...common,
  name: "http3-1m",
  title: `HTTP/3, ${LARGE_AT_ONCE} requests at once on one connection, answers of 1 MiB, backend HTTP/1.1`,
  columns: BULK_COLUMNS,
  async run(peer, scale) {
    const result = await load(peer, scale, LARGE_PATH, LARGE_BYTES, LARGE_AT_ONCE);
    const { answers, elapsedMs, p50Us, p99Us } = result;
    return { ...bulkSample(answers * LARGE_BYTES, elapsedMs, result), p50Us, p99Us };
  },
};
