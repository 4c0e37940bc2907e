// The way to a target: one after the other, within the connect timeout.

import { afterAll, describe, expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:tls";

import {
  type BackendTarget,
  Dialer,
  type DialerOptions,
  type DialFailure,
  type DialRequest,
} from "../../src/protocols/dial.ts";
import type { Wire } from "../../src/protocols/wire/wire.ts";
import { CounterWriter } from "../../src/shared/counters.ts";
import { breakerPlan } from "../support/breaker.ts";
import { Authority, type Issued } from "../support/certificates.ts";
import {
  groupOf,
  slotsOf,
  statsOf,
  TestHost,
  type TestRequest,
  testRequest,
} from "../support/gateway-host.ts";
import { testInNamespace } from "../support/namespace.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";
import { Recorder } from "./wire/recorder.ts";

type Outcome = { wire: Wire; target: BackendTarget } | DialFailure;

function makeDialer(
  targets: string[],
  connectMs = 2_000,
): { dialer: Dialer; request: TestRequest } {
  const request = testRequest({ groups: [groupOf(targets)], connectMs });
  return { dialer: dialerOf(request), request };
}

function dialerOf(
  request: TestRequest & DialRequest,
  alpn: DialerOptions["alpn"] = () => [],
): Dialer {
  return new Dialer(new TestHost(), request, {
    counters: new CounterWriter(request.counters),
    watermarks: { highBytes: 65_536, lowBytes: 16_384 },
    setOptions: () => {},
    alpn,
    brokeOff: () => {},
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

test("a circuit that is open fails a dial at once, whatever its target would do", async () => {
  const breaker = breakerPlan({ failures: 1 });
  const target = await closedTarget();
  const request = testRequest({ groups: [{ ...groupOf(target), breaker }] });
  const dialer = dialerOf(request);
  expect(failureOf(await dial(dialer).outcome).reason).toBe("target_down");
  const refused = failureOf(await within("the refusal", dial(dialer).outcome));
  expect([refused.reason, refused.message]).toEqual(["circuit_open", target]);
  expect(statsOf(request).targets[0]).toMatchObject({ failures: 1, ejections: 1 });
  dialer.end();
});

describe("over TLS, a dial", () => {
  const authority = new Authority();
  const own = authority.issue(["a.example"]);
  const plan = { serverName: "a.example", caFile: null, certificate: null, insecure: false };
  const certificates = {
    server: null,
    targets: [{ group: 0, index: 0, ca: authority.ca, certificate: null }],
  };
  afterAll(() => authority[Symbol.dispose]());

  async function serve(issued: Issued): Promise<Server> {
    const { cert, key } = issued;
    const server = createServer({ cert, key, ALPNProtocols: ["x"] }, (socket) =>
      socket.pipe(socket),
    );
    const listening = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    return server;
  }

  function dialTls(server: Server, alpn: readonly string[] = []): Promise<Outcome> {
    const { port } = server.address() as AddressInfo;
    const groups = [groupOf(`127.0.0.1:${port}`, plan)];
    return dial(dialerOf(testRequest({ groups, certificates }), () => alpn)).outcome;
  }

  test("has a handshake, and offers what it is told", async () => {
    await using server = await serve(own);
    const outcome = await within("the dial", dialTls(server, ["x", "y"]));
    if (!("wire" in outcome)) throw new Error(outcome.message);
    expect(outcome.wire.tls!.alpn).toBe("x");
    const recorder = outcome.wire.handler as Recorder;
    outcome.wire.write(Buffer.from("ping"));
    await until("the echo", () => recorder.text === "ping");
    outcome.wire.reset();
  });

  test("says what is wrong with a certificate", async () => {
    await using server = await serve(authority.issue(["b.example"]));
    const failure = failureOf(await within("the dial", dialTls(server)));
    expect(failure).toMatchObject({
      reason: "target_down",
      kind: "tls",
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    expect(failure.message).toContain("its certificate is for DNS:b.example, not a.example");
  });

  test("has its handshake within the connect timeout", async () => {
    await using server = await WireServer.listen();
    const request = testRequest({
      groups: [groupOf(server.target, plan)],
      certificates,
      connectMs: 200,
    });
    const failure = failureOf(await within("the dial", dial(dialerOf(request)).outcome));
    expect(failure).toMatchObject({ reason: "connect_timeout", kind: "connect_timeout" });
  });
});

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

testInNamespace(
  ["echo '40000 40000' > /proc/sys/net/ipv4/ip_local_port_range"],
  "a dial that finds no port free blames no target",
  [Bun.fileURLToPath(new URL("./dial-shortage.ts", import.meta.url))],
  ({ stdout }) => {
    const lacking = "descriptors EADDRNOTAVAIL";
    expect(JSON.parse(stdout)).toEqual({
      said: ["connected", "connected", lacking, lacking, lacking, lacking],
      failures: [0, 0],
      events: [],
    });
  },
);
