// How many connections fit into the descriptor limit, and that a limit that cannot be honoured is said before it is reached.

import { expect, test } from "bun:test";

import {
  connectionsOfProcess,
  connectionsWithin,
  warnIfTooFew,
} from "../../src/engine/descriptors.ts";
import type { OpenRequest, WorkerEvent } from "../../src/shared/messages.ts";
import { listenerPlan } from "../support/plan.ts";

function warnings(maxConnections: number, limit: number, exclusive = true): string[] {
  const events: WorkerEvent[] = [];
  const host = { emit: (event: WorkerEvent) => void events.push(event) };
  const listener = listenerPlan({ target: "127.0.0.1:1", maxConnections });
  const request = { listener, exclusive } as OpenRequest;
  warnIfTooFew(host, request, limit);
  return events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
}

test("a connection takes two descriptors, and a small limit is not used up by the reserve", () => {
  expect(connectionsWithin(20_000)).toBe(9_968);
  expect(connectionsWithin(64)).toBe(24);
  expect(connectionsWithin(1)).toBe(1);
});

test("all workers together have what is left by their threads", () => {
  expect(connectionsOfProcess(20_000, 1)).toBe(9_965);
  expect(connectionsOfProcess(20_000, 128)).toBe(9_584);
  expect(connectionsOfProcess(1_024, 128)).toBe(352);
  expect(connectionsOfProcess(8, 128)).toBe(2);
});

test("max_connections beyond the descriptor limit is a warning that says the number and the cure", () => {
  expect(warnings(10_000, 1_024)).toEqual([
    "max_connections 10000 needs 20064 descriptors and the limit is 1024, which is enough for 480 connections: " +
      "raise it (ulimit -n 20064, or LimitNOFILE of the service)",
  ]);
});

test("what fits is no warning, and one worker speaks for all", () => {
  expect(warnings(400, 1_024)).toEqual([]);
  expect(warnings(0, 1_024)).toEqual([]);
  expect(warnings(10_000, 1_024, false)).toEqual([]);
});
