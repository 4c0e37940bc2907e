// Small answers, of 100 bytes from the backend's memory: what a request costs, in HTTP/1.1 and in HTTP/2.

import { SMALL_PATH } from "../backends.ts";
import { cpuPer, type Measurement } from "../engine/measurement.ts";
import { OF_GATEWAYS, rateOf, urlOf } from "./contestants.ts";
import { h2load } from "./h2load.ts";
import { wrk } from "./wrk.ts";

const CONNECTIONS = 64;
const H2_CONNECTIONS = 16;
const H2_STREAMS = 16;

const common = {
  ...OF_GATEWAYS,
  backend: "http",
  columns: rateOf("requests/s", "request"),
} as const;

export const http1Small: Measurement = {
  ...common,
  name: "http1-small",
  title: `HTTP/1.1, ${CONNECTIONS} connections, answers of 100 B`,
  run: (peer, scale) => wrk(peer, scale, urlOf(peer, "port", SMALL_PATH), CONNECTIONS),
};

function http2(port: "tlsPort" | "h2cPort"): Measurement["run"] {
  return async (peer, scale) => {
    const load = { connections: H2_CONNECTIONS, streams: H2_STREAMS };
    const result = await h2load(peer, scale, urlOf(peer, port, SMALL_PATH), load);
    const { requests, perSecond: rate, cpu, p50Us, p99Us } = result;
    return { rate, ...cpuPer(requests, cpu), p50Us, p99Us };
  };
}

export const http2Small: Measurement = {
  ...common,
  name: "http2-small",
  title: `HTTP/2 over TLS, ${H2_CONNECTIONS} connections × ${H2_STREAMS} streams, answers of 100 B, backend HTTP/1.1`,
  run: http2("tlsPort"),
};

export const h2cSmall: Measurement = {
  ...common,
  name: "h2c-small",
  title: `HTTP/2 in clear, ${H2_CONNECTIONS} connections × ${H2_STREAMS} streams, answers of 100 B, backend HTTP/1.1`,
  run: http2("h2cPort"),
};
