// The way to a target: one after the other, within the connect timeout.

import { describe, expect, test } from "bun:test";

import {
  type BackendTarget,
  Dialer,
  type DialFailure,
  type DialRequest,
} from "../../src/protocols/dial.ts";
import type { Wire } from "../../src/protocols/wire/wire.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import { CounterWriter } from "../../src/shared/counters.ts";
import type { GroupPlan } from "../../src/shared/plan.ts";
import {
  slotsOf,
  statsOf,
  TestHost,
  type TestRequest,
  testRequest,
} from "../support/gateway-host.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";
import { Recorder } from "./wire/recorder.ts";

type Outcome = { wire: Wire; target: BackendTarget } | DialFailure;

function groupOf(...targets: string[]): GroupPlan {
  const plans = targets.map((text) => ({
    endpoint: parseEndpoint(text, "target"),
    weight: 1,
    backup: false,
  }));
  return { balance: "round_robin", targets: plans, health: null };
}

function makeDialer(
  targets: string[],
  connectMs = 2_000,
): { dialer: Dialer; request: TestRequest } {
  const request = testRequest({ groups: [groupOf(...targets)], connectMs });
  return { dialer: dialerOf(request), request };
}

function dialerOf(request: TestRequest & DialRequest): Dialer {
  return new Dialer(new TestHost(), request, {
    counters: new CounterWriter(request.counters),
    watermarks: { highBytes: 65_536, lowBytes: 16_384 },
    setOptions: () => {},
  });
}

/** Resolves with what the first event says; a second one fails the test. */
function dial(dialer: Dialer): { outcome: Promise<Outcome>; cancel(): void } {
  const outcome = Promise.withResolvers<Outcome>();
  let events = 0;
  let dialing = true;
  const told = (what: Outcome): void => {
    expect(dialing).toBe(false);
    expect(++events).toBe(1);
    outcome.resolve(what);
  };
  const started = dialer.dial(dialer.begin(0), null, {
    connected: (wire, target) => {
      new Recorder().adopt(wire);
      told({ wire, target });
    },
    failed: told,
  });
  dialing = false;
  return { outcome: outcome.promise, cancel: () => started.cancel() };
}

function failureOf(outcome: Outcome): DialFailure {
  if ("wire" in outcome) throw new Error(`connected to ${outcome.target.name}`);
  return outcome;
}

/** A port that was free a moment ago. */
async function closedTarget(): Promise<string> {
  await using server = await WireServer.listen();
  return server.target;
}

describe("a dial", () => {
  test("connects, and the wire works", async () => {
    await using server = await WireServer.echo();
    const { dialer, request } = makeDialer([server.target]);
    const outcome = await within("the dial", dial(dialer).outcome);
    if (!("wire" in outcome)) throw new Error(outcome.message);
    expect(outcome.target).toMatchObject({ slot: 0, name: server.target });
    expect(outcome.target.socket.peer?.port).toBe(server.port);
    const recorder = outcome.wire.handler as Recorder;
    outcome.wire.write(Buffer.from("ping"));
    await until("the echo", () => recorder.text === "ping");
    outcome.wire.reset();
    dialer.leave(0);
    expect(statsOf(request).targets[0]!.failures).toBe(0);
  });

  test("goes on with the next target when one refuses, and counts the failure", async () => {
    await using server = await WireServer.echo();
    const { dialer, request } = makeDialer([await closedTarget(), server.target]);
    for (let i = 0; i < 2; i++) {
      const outcome = await within("the dial", dial(dialer).outcome);
      if (!("wire" in outcome)) throw new Error(outcome.message);
      expect(outcome.target.slot).toBe(1);
      outcome.wire.reset();
    }
    const { targets, errors } = statsOf(request);
    expect(targets[0]!.failures).toBe(1); // the second began with the other one
    expect(errors.ECONNREFUSED).toBe(1);
  });

  test("fails when every target refuses, and says the last one", async () => {
    const first = await closedTarget();
    const { dialer } = makeDialer([first]);
    const failure = failureOf(await within("the dial", dial(dialer).outcome));
    expect(failure).toMatchObject({ reason: "target_down", kind: "connect", code: "ECONNREFUSED" });
    expect(failure.message).toContain(first);
    expect(failure.message).toContain("ECONNREFUSED");
  });

  test("fails without a target, not from within the call", async () => {
    const request = { ...testRequest({ groups: [groupOf("10.0.0.1:1")] }), targets: [] };
    const failure = failureOf(await within("the dial", dial(dialerOf(request)).outcome));
    expect(failure).toMatchObject({ reason: "no_address", code: "" });
  });

  test("gives a silent target its share of the time, and the rest to the next", async () => {
    using silent = await SilentTarget.start();
    await using server = await WireServer.echo();
    const { dialer } = makeDialer([silent.target, server.target], 400);
    const outcome = await within("the dial", dial(dialer).outcome);
    if (!("wire" in outcome)) throw new Error(outcome.message);
    expect(outcome.target.slot).toBe(1);
    outcome.wire.reset();
  });

  test("times out when nobody answers", async () => {
    using silent = await SilentTarget.start();
    const { dialer, request } = makeDialer([silent.target], 200);
    const failure = failureOf(await within("the dial", dial(dialer).outcome));
    expect(failure).toMatchObject({ reason: "connect_timeout", kind: "connect_timeout" });
    expect(statsOf(request).targets[0]!.failures).toBe(1);
  });

  test("that is cancelled says nothing, and blames nobody", async () => {
    using silent = await SilentTarget.start();
    const { dialer, request } = makeDialer([silent.target], 100);
    const { outcome, cancel } = dial(dialer);
    let told = false;
    void outcome.then(() => (told = true));
    cancel();
    cancel();
    // The same target, and its time is up after the other's would have been.
    await within("another dial", dial(dialer).outcome);
    expect(told).toBe(false);
    expect(statsOf(request).targets[0]!.failures).toBe(1);
  });

  test("begins with the target that was asked for before", async () => {
    await using one = await WireServer.echo();
    await using two = await WireServer.echo();
    const { dialer } = makeDialer([one.target, two.target]);
    const attempt = dialer.begin(0);
    const chosen = attempt.next(null, 0)!;
    const connected = Promise.withResolvers<BackendTarget>();
    dialer.dial(attempt, null, {
      connected: (wire, target) => {
        wire.reset();
        connected.resolve(target);
      },
      failed: (failure) => connected.reject(new Error(failure.message)),
    });
    expect((await within("the dial", connected.promise)).slot).toBe(chosen.slot);
  });

  test("takes new addresses for those that begin later", async () => {
    await using server = await WireServer.echo();
    const { dialer } = makeDialer([await closedTarget()]);
    dialer.setTargets(slotsOf([groupOf(server.target)]));
    const outcome = await within("the dial", dial(dialer).outcome);
    if (!("wire" in outcome)) throw new Error(outcome.message);
    outcome.wire.reset();
  });
});
