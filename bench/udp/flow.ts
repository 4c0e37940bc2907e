// Bulk one way: a sender that nothing holds back, as a stream of video is sent, and what of it arrives behind the relay.

import { cpuColumns, cpuPer, loadOn, type Measurement, runLoad } from "../engine/measurement.ts";
import type { FlowRequest, FlowResult } from "../load/flow.ts";
import { DATAGRAM_RELAYS, RELAY_WARM_MS } from "./contestants.ts";

const BYTES = 1_200;

export const flow: Measurement = {
  name: "udp-flow",
  group: "udp",
  title: `UDP, one client sends datagrams of ${BYTES.toLocaleString("en-US")} B as fast as it can`,
  backend: "datagrams",
  freshPeer: false,
  contestants: DATAGRAM_RELAYS,
  relayWarmMs: RELAY_WARM_MS,
  columns: [
    { key: "rate", title: "datagrams/s that arrive", digits: 0, better: "higher" },
    { key: "share", title: "of those sent, %", digits: 1, better: "higher" },
    ...cpuColumns("datagram"),
  ],
  async run(peer, scale) {
    const request: FlowRequest = { ...loadOn(peer, scale), bytes: BYTES, runMs: scale.durationMs };
    const result = await runLoad<FlowResult>("flow.ts", request);
    const { arrived, sent, elapsedMs } = result;
    return {
      rate: (arrived * 1000) / elapsedMs,
      share: (arrived / sent) * 100,
      ...cpuPer(arrived, result),
    };
  },
};
