// WebSocket: how many messages go to the backend and back each second through connections that were upgraded from HTTP/1.1.

import { cpuPer, loadOn, type Measurement, runLoad } from "../engine/measurement.ts";
import { perSecond } from "../engine/pingpong.ts";
import type { PingPongRequest, PingPongResult } from "../load/pingpong.ts";
import { OF_GATEWAYS, rateOf } from "./contestants.ts";

const CONNECTIONS = 64;
const MESSAGE_BYTES = 64;

export const websocketEcho: Measurement = {
  name: "websocket-echo",
  ...OF_GATEWAYS,
  title: `WebSocket echo, ${CONNECTIONS} connections × ${MESSAGE_BYTES} B`,
  backend: "websocket",
  columns: rateOf("messages/s", "message"),
  async run(peer, scale) {
    const request: PingPongRequest = {
      ...loadOn(peer, scale),
      connections: CONNECTIONS,
      bytes: MESSAGE_BYTES,
      webSocket: true,
      runMs: scale.durationMs,
    };
    const result = await runLoad<PingPongResult>("pingpong.ts", request);
    const { messages, p50Us, p99Us } = result;
    return { rate: perSecond(result), ...cpuPer(messages, result), p50Us, p99Us };
  },
};
