// Short connections: connect, 64 bytes to the backend and back, close; one after another or several at once.

import type { ConnectRequest, ConnectResult } from "../load/connect.ts";
import { cpuColumns, cpuPer, type Measurement, runLoad } from "./measurement.ts";

const MESSAGE_BYTES = 64;

export function connections(inFlight: number): Measurement {
  return {
    name: inFlight === 1 ? "connect" : `connect-${inFlight}`,
    title: `Short connections, ${inFlight === 1 ? "one after another" : `${inFlight} at once`}`,
    backend: "echo",
    freshPeer: false,
    columns: [
      { key: "rate", title: "connections/s", digits: 0, better: "higher" },
      ...cpuColumns("connection"),
    ],
    async run(peer, scale) {
      const request: ConnectRequest = {
        port: peer.port,
        inFlight,
        bytes: MESSAGE_BYTES,
        warm: scale.smoke ? 20 : 1000,
        runMs: scale.durationMs,
        count: null,
        repetitions: 1,
        pids: peer.pids(),
      };
      const result = await runLoad<ConnectResult>("connect.ts", request);
      return {
        rate: (result.connections * 1000) / result.elapsedMs,
        ...cpuPer(result.connections, result),
      };
    },
  };
}
