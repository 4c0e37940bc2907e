// What becomes of a row that goes back from the relay to the ring while a poll still tells: the relay may have read bytes that
// its sink did not take, and they are lost if the ring goes on without them. Completions are given by hand, in the order that
// hurts.

import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";

import type { Connections } from "../../../src/engine/linux/connections.ts";
import type { Relay } from "../../../src/engine/linux/relay.ts";
import { BLOCKED, OPEN, READABLE, Rows } from "../../../src/engine/linux/rows.ts";
import { Buffers } from "../../../src/engine/uring/buffers.ts";
import type { Gather } from "../../../src/engine/uring/gather.ts";
import { Lanes, RELAY, RING } from "../../../src/engine/uring/lanes.ts";
import { kindOf, OP_CANCEL, OP_POLL, OP_RECV } from "../../../src/engine/uring/operations.ts";
import type { Ring } from "../../../src/engine/uring/ring.ts";
import { Traffic } from "../../../src/engine/uring/traffic.ts";
import { ECANCELED } from "../../../src/ffi/errno.ts";
import { IORING_CQE_F_MORE } from "../../../src/ffi/io-uring.ts";
import { EPOLLIN } from "../../../src/ffi/linux.ts";

const ROW = 0;
const [UP, DOWN] = [ROW * 2, ROW * 2 + 1];

/** A row that is the relay's, polled on both sides and calm. */
function calmRow(onEvent: (rows: Rows) => void) {
  const buffers = new Buffers(16, 512);
  const rows = new Rows(4);
  const lanes = new Lanes(4, buffers);
  lanes.clear(ROW);
  lanes.mode[ROW] = RELAY;
  lanes.inFlight[ROW] = 2;
  rows.state[ROW] = OPEN;
  const fds = [openSync("/dev/null", "r"), openSync("/dev/null", "r")];
  rows.fd.set(fds);
  rows.held.fill(-1);
  const pushed: number[] = [];
  const ring = {
    push: (...[, , , , , low]: Parameters<Ring["push"]>) => void pushed.push(kindOf(low)),
  } as unknown as Ring;
  const relay = { event: () => onEvent(rows), now: 0 } as unknown as Relay;
  const connections = { rows, profiles: [{ pace: null, mirror: null }] } as unknown as Connections;
  const kernel = { sendNow: () => 0 };
  const close = (): void => {
    fds.forEach((fd) => closeSync(fd));
    buffers.close();
  };
  const none = {} as unknown as Gather;
  const traffic = new Traffic(kernel, ring, buffers, lanes, connections, relay, none);
  return { traffic, lanes, rows, pushed, close };
}

describe.if(process.platform === "linux")("a row on its way back to the ring", () => {
  for (const [what, tell, stays] of [
    ["nothing", () => {}, false],
    [
      "bytes that the sink does not take",
      (rows: Rows) => {
        rows.pending[UP] = 1_870;
        rows.flags[UP]! |= BLOCKED;
      },
      true,
    ],
    [
      "more than the relay reads at once",
      (rows: Rows) => void (rows.flags[DOWN]! |= READABLE),
      true,
    ],
  ] as const) {
    test(`${stays ? "stays with the relay" : "is received from again"} if a poll told of ${what}`, () => {
      const { traffic, lanes, pushed, close } = calmRow(tell);
      traffic.calm(ROW);
      expect(pushed.splice(0)).toEqual([OP_CANCEL, OP_CANCEL]);
      traffic.polled(UP, EPOLLIN, IORING_CQE_F_MORE);
      for (const d of [UP, DOWN]) {
        traffic.polled(d, -ECANCELED, 0);
        expect(pushed).toEqual([]);
        traffic.cancelled(d);
      }
      expect(lanes.mode[ROW]).toBe(stays ? RELAY : RING);
      expect(pushed).toEqual(stays ? [OP_POLL, OP_POLL] : [OP_RECV, OP_RECV]);
      expect(lanes.inFlight[ROW]).toBe(2);
      close();
    });
  }
});
