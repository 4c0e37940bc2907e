// An exchange between a client and backends that do what the test says: where requests go, what becomes of answers, and of what
// goes wrong on the way. Every order of events is in relay.property.test.ts.

import { describe, expect, test } from "bun:test";

import { RetryBudget } from "../../../src/l4/retry-budget.ts";
import { fieldsOf } from "../../../src/protocols/http/message/fields.ts";
import { HTTP_POOL, HTTP_RELAY } from "../../../src/shared/limits.ts";
import { breakerPlan } from "../../support/breaker.ts";
import { failure, type FakeBackend, type FakeClient, Stage } from "./support/fakes.ts";

/** A request that a backend has. */
function asked(
  stage: Stage,
  request: Parameters<Stage["ask"]>[0] = {},
  backend: FakeBackend = stage.backend,
): FakeClient {
  const client = stage.ask(request);
  if (backend.dials.length > 0) backend.connect();
  return client;
}

const ELSEWHERE = { attempts: 2, connect: true, statuses: [502, 503, 504] };

describe("a request and its answer", () => {
  test("pass through, and are counted once", () => {
    const stage = new Stage();
    const client = asked(stage);
    stage.backend.last.respond(200);
    stage.backend.last.body("hello");
    stage.backend.last.finish();
    expect([client.end, client.status, client.received]).toEqual(["complete", 200, "hello"]);
    expect(stage.records).toHaveLength(1);
    const { http, bytesDown, targets } = stage.stats;
    expect(http).toMatchObject({ requests: 1, active: 0, retries: 0, reuses: 0 });
    expect(http.answers["2xx"]).toBe(1);
    expect([bytesDown, targets[0]!.connects, stage.targets.activeOf(0)]).toEqual([5, 1, 0]);
  });

  test("wait for a connection, and the next one takes the same", () => {
    const stage = new Stage();
    const first = stage.ask();
    expect([stage.backend.streams.length, stage.backend.dials.length]).toEqual([0, 1]);
    stage.backend.connect();
    stage.backend.last.respond(204, true);
    expect(first.end).toBe("complete");
    stage.ask();
    expect(stage.backend.streams).toHaveLength(2);
    expect(stage.backend.connections).toHaveLength(1);
    expect(stage.stats.http.reuses).toBe(1);
  });

  test("a body passes, and each side stops the other", () => {
    const stage = new Stage();
    const client = asked(stage, { method: "POST", contentLength: -1 });
    const { last } = stage.backend;
    expect(client.paused).toBe(false);
    client.body("a");
    last.takes = false;
    client.body("b");
    expect([last.received, client.paused]).toEqual(["ab", true]);
    last.drain();
    expect(client.paused).toBe(false);
    client.finish();
    expect(last.requestEnded).toBe(true);
    last.respond(200);
    client.takes = false;
    last.body("c");
    expect(last.paused).toBe(true);
    client.drain();
    expect(last.paused).toBe(false);
    last.finish();
    expect(client.received).toBe("c");
  });

  test("the body of a request waits for a connection", () => {
    const stage = new Stage();
    const client = stage.ask({ method: "POST", contentLength: 3 });
    expect(client.paused).toBe(true);
    stage.backend.connect();
    expect(client.paused).toBe(false);
  });

  test("informational answers pass before the head", () => {
    const stage = new Stage();
    const client = asked(stage);
    stage.backend.last.informational(103);
    stage.backend.last.respond(200, true);
    expect([client.informational, client.status]).toEqual([[103], 200]);
  });

  test("an answer that comes before the whole request ends it, and the backend's stream", () => {
    const stage = new Stage();
    const client = asked(stage, { method: "POST", contentLength: 10 });
    client.body("abc");
    const { last } = stage.backend;
    last.respond(413);
    last.finish();
    expect([client.end, client.status]).toEqual(["complete", 413]);
    expect(last.wasReset).toBe(true);
    expect(stage.exchanges.count).toBe(0);
  });

  test("the target's own authority is sent where the route says so", () => {
    const stage = new Stage({ host: "target" });
    asked(stage);
    expect(stage.backend.last.head.authority).toBe("target0.example");
  });
});

describe("a client that leaves", () => {
  test("takes its request back from the backend", () => {
    const stage = new Stage();
    const client = asked(stage);
    client.leave();
    expect(stage.backend.last.wasReset).toBe(true);
    expect(stage.stats.http.unanswered).toBe(1);
    expect(stage.records[0]).toMatchObject({ status: 0, failure: "reset: it is reset" });
  });

  test("while it waits for a connection leaves that to the next", () => {
    const stage = new Stage();
    stage.ask().leave();
    stage.backend.connect();
    expect(stage.backend.streams).toHaveLength(0);
    expect(stage.targets.activeOf(0)).toBe(0);
    stage.ask();
    expect(stage.backend.streams).toHaveLength(1);
  });
});

describe("a target that cannot be reached", () => {
  test("is answered for with 502 if there is no other", () => {
    const stage = new Stage({ retries: ELSEWHERE });
    const client = stage.ask();
    stage.backend.connect("ECONNREFUSED");
    expect([client.end, client.status]).toEqual(["complete", 502]);
    expect(stage.refusals).toEqual(["target_down"]);
    const { http, targets, errors } = stage.stats;
    expect([http.ownAnswers["5xx"], targets[0]!.failures, errors.ECONNREFUSED]).toEqual([1, 1, 1]);
  });

  test("leaves the request to another, also one with a body", () => {
    const stage = new Stage({ targets: 2, retries: ELSEWHERE });
    const client = stage.ask({ method: "POST", contentLength: 1 });
    const [first, second] = stage.backends as [FakeBackend, FakeBackend];
    first.connect("ECONNREFUSED");
    second.connect();
    second.last.respond(200, true);
    expect(client.status).toBe(200);
    expect(stage.stats.http.retries).toBe(1);
    expect([stage.targets.activeOf(0), stage.targets.activeOf(1)]).toEqual([0, 0]);
  });

  test("is answered for where the route forbids another, and when all were tried", () => {
    const stage = new Stage({ targets: 2, retries: { ...ELSEWHERE, connect: false } });
    const client = stage.ask();
    stage.backend.connect("ECONNREFUSED");
    expect(client.status).toBe(502);
    const both = new Stage({ targets: 2, retries: ELSEWHERE });
    const other = both.ask();
    for (const backend of both.backends) backend.connect("EHOSTUNREACH");
    expect(other.status).toBe(502);
  });

  test("has its share of the time, then the next one the rest of it", () => {
    const stage = new Stage({ targets: 2, retries: ELSEWHERE });
    const client = stage.ask();
    stage.pass(500);
    expect(stage.backends.map(({ dials }) => dials.length)).toEqual([1, 1]);
    stage.pass(499);
    expect(client.status).toBe(0);
    stage.pass(1);
    expect(client.status).toBe(504);
    expect(stage.refusals).toEqual(["connect_timeout"]);
  });

  for (const errno of ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EADDRNOTAVAIL"]) {
    test(`is not at fault when this machine lacks what it takes: ${errno}`, () => {
      const stage = new Stage({ targets: 2, retries: ELSEWHERE });
      for (let i = 0; i < 8; i++) {
        const client = stage.ask();
        // The other one may have a port free, or its connections take less.
        for (const { dials } of stage.backends) expect(dials.length).toBeLessThanOrEqual(1);
        for (const backend of stage.backends) if (backend.dials.length > 0) backend.connect(errno);
        for (const backend of stage.backends) if (backend.dials.length > 0) backend.connect(errno);
        expect(client.status).toBe(503);
      }
      expect(stage.refusals).toEqual(new Array(8).fill("descriptors"));
      expect(stage.stats.targets.map(({ failures }) => failures)).toEqual([0, 0]);
      expect(stage.targetEvents).toEqual([]);
    });
  }
});

describe("a connection that had rested and breaks", () => {
  function stale(stage: Stage, request: Parameters<Stage["ask"]>[0] = {}): FakeClient {
    asked(stage);
    stage.backend.last.respond(200, true);
    const client = stage.ask(request);
    stage.backend.connections[0]!.gone(null);
    return client;
  }

  test("is replaced by a new one, once", () => {
    const stage = new Stage();
    const client = stale(stage);
    expect(client.end).toBe("open");
    stage.backend.connect();
    stage.backend.last.respond(200, true);
    expect([client.status, stage.stats.http.retries]).toEqual([200, 1]);
    const again = new Stage();
    const other = stale(again);
    again.backend.connect();
    again.backend.connections[1]!.gone(null);
    expect(other.status).toBe(502);
    expect(again.refusals).toEqual(["http_backend"]);
  });

  test("is not replaced for a request that must not be sent twice", () => {
    const stage = new Stage();
    expect(stale(stage, { method: "POST", contentLength: 0 }).status).toBe(502);
  });

  test("is replaced for a body of which nothing was sent, and not for one that had begun", () => {
    const stage = new Stage();
    const client = stale(stage, { method: "PUT", contentLength: 3 });
    expect(client.paused).toBe(true);
    client.body("abc"); // it was on its way up
    client.finish(fieldsOf([["x-sum", "1"]]));
    stage.backend.connect();
    expect([stage.backend.last.received, stage.backend.last.requestEnded]).toEqual(["abc", true]);
    const begun = new Stage();
    asked(begun);
    begun.backend.last.respond(200, true);
    const other = begun.ask({ method: "PUT", contentLength: 3 });
    other.body("a");
    begun.backend.connections[0]!.gone(null);
    expect(other.status).toBe(502);
  });

  test("a new one that breaks is not replaced", () => {
    const stage = new Stage();
    const client = asked(stage);
    stage.backend.connections[0]!.gone(null);
    expect(client.status).toBe(502);
  });
});

describe("a request that a backend has not processed", () => {
  test("is sent again whatever its method, and not for ever", () => {
    const stage = new Stage({ places: 3 });
    const client = asked(stage, { method: "POST", contentLength: 0 });
    for (let i = 0; i < HTTP_RELAY.unprocessedMax; i++) {
      stage.backend.last.fail(failure("reset", true));
      expect(client.end).toBe("open");
    }
    expect(stage.backend.streams).toHaveLength(1 + HTTP_RELAY.unprocessedMax);
    stage.backend.last.fail(failure("reset", true));
    expect(client.status).toBe(502);
  });
});

describe("an answer that the route wants tried elsewhere", () => {
  test("is asked for at another target", () => {
    const stage = new Stage({ targets: 2, retries: ELSEWHERE });
    const client = asked(stage);
    stage.backend.last.respond(503);
    expect(stage.backend.last.wasReset).toBe(true);
    const second = stage.backends[1]!;
    second.connect();
    second.last.respond(200, true);
    expect(client.status).toBe(200);
  });

  test("is passed on if there is no other target, or no attempt left", () => {
    const alone = new Stage({ retries: ELSEWHERE });
    const client = asked(alone);
    alone.backend.last.respond(503, true);
    expect([client.status, client.received]).toEqual([503, ""]);
    const none = new Stage({ targets: 2, retries: { ...ELSEWHERE, attempts: 0 } });
    const other = asked(none);
    none.backend.last.respond(503, true);
    expect(other.status).toBe(503);
  });

  test("is passed on if the request may not be sent twice", () => {
    const stage = new Stage({ targets: 2, retries: ELSEWHERE });
    const client = asked(stage, { method: "POST", contentLength: 0 });
    stage.backend.last.respond(503, true);
    expect(client.status).toBe(503);
  });

  test("a target that gives none is passed over in the same way", () => {
    const stage = new Stage({ targets: 2, retries: ELSEWHERE });
    const client = asked(stage);
    stage.backend.last.fail(failure("malformed"));
    const second = stage.backends[1]!;
    second.connect();
    second.last.respond(200, true);
    expect(client.status).toBe(200);
  });
});

describe("a circuit breaker", () => {
  const BREAKER = breakerPlan({ openMs: 5_000, maxOpenMs: 10_000, statuses: [503] });

  /** A request that the only target answers so. */
  function answered(stage: Stage, status: number): FakeClient {
    const client = asked(stage);
    stage.backend.last.respond(status, true);
    return client;
  }

  test("answers with 503 at once while the only target's circuit is open, and says for how long", () => {
    const stage = new Stage({ breaker: BREAKER });
    for (const status of [503, 200, 503, 500, 503, 503]) answered(stage, status);
    const before = stage.backend.streams.length;
    stage.pass(1_000);
    const client = stage.ask();
    expect([client.status, client.received]).toEqual([503, "error 503, again in 4 s"]);
    expect(stage.refusals).toEqual(["circuit_open"]);
    expect(stage.backend.streams).toHaveLength(before);
    stage.pass(4_000);
    const probe = asked(stage);
    expect([probe.end, stage.ask().status]).toEqual(["open", 503]);
    stage.backend.last.respond(200, true);
    expect(probe.status).toBe(200);
    expect(answered(stage, 200).status).toBe(200);
    expect(stage.stats.targets[0]).toMatchObject({ ejections: 1, states: { up: 1 } });
  });

  test("takes an answer that is asked for elsewhere for what it is", () => {
    const retries = { ...ELSEWHERE, statuses: [502, 503] };
    const stage = new Stage({ targets: 2, retries, breaker: { ...BREAKER, failures: 1 } });
    const client = stage.ask();
    const [first, second] = stage.backends as [FakeBackend, FakeBackend];
    first.connect();
    first.last.respond(503, true);
    second.connect();
    second.last.respond(502, true);
    // Nobody is left that could do better, so the answer is the client's.
    expect([client.status, stage.stats.http.retries]).toEqual([502, 1]);
    expect(stage.stats.targets.map(({ states }) => states.ejected)).toEqual([1, 0]);
    expect([stage.targets.activeOf(0), stage.targets.activeOf(1)]).toEqual([0, 0]);
  });

  test("of a target that answers what is named nowhere does not open", () => {
    const stage = new Stage({ breaker: { ...BREAKER, statuses: [] } });
    for (let i = 0; i < 5; i++) expect(answered(stage, 503).status).toBe(503);
    expect(stage.refusals).toEqual([]);
  });
});

describe("a budget of retries", () => {
  test("leaves the failure to the client when it is used up, and counts that", () => {
    const budget = new RetryBudget({ share: 0.5, minPerSecond: 0 });
    const stage = new Stage({ targets: 2, retries: ELSEWHERE, budget });
    const fail = (backend: FakeBackend): void => {
      if (backend.dials.length > 0) backend.connect();
      for (const stream of backend.streams) if (!stream.isOver) stream.respond(503, true);
    };
    const clients = Array.from({ length: 8 }, () => {
      const client = stage.ask();
      for (const backend of [...stage.backends, ...stage.backends]) fail(backend);
      return client;
    });
    expect(clients.map(({ status }) => status)).toEqual(clients.map(() => 503));
    expect(stage.stats.http).toMatchObject({ requests: 8, retries: 4, retriesRefused: 4 });
    expect(stage.backends.flatMap(({ streams }) => streams)).toHaveLength(12);
  });

  test("is not touched by targets that could not be reached", () => {
    const budget = new RetryBudget({ share: 0, minPerSecond: 0 });
    const stage = new Stage({ targets: 2, retries: ELSEWHERE, budget });
    const client = stage.ask();
    const [first, second] = stage.backends as [FakeBackend, FakeBackend];
    first.connect("ECONNREFUSED");
    second.connect();
    second.last.respond(200, true);
    expect([client.status, stage.stats.http.retriesRefused]).toEqual([200, 0]);
  });

  test("is not touched by what a backend has not begun to process", () => {
    const budget = new RetryBudget({ share: 0, minPerSecond: 0 });
    const stage = new Stage({ retries: ELSEWHERE, budget });
    const client = asked(stage, { method: "POST" });
    stage.backend.last.fail(failure("closed", true));
    if (stage.backend.dials.length > 0) stage.backend.connect();
    stage.backend.last.respond(200, true);
    expect([client.status, stage.stats.http.retriesRefused]).toEqual([200, 0]);
  });
});

describe("timeouts", () => {
  test("no answer in time is 504", () => {
    const stage = new Stage();
    const client = asked(stage);
    stage.pass(4_999);
    expect(client.status).toBe(0);
    stage.pass(1);
    expect([client.status, stage.backend.last.wasReset]).toEqual([504, true]);
    expect(stage.refusals).toEqual(["http_backend_timeout"]);
  });

  test.each([
    ["9S", 9_000],
    ["100m", 100],
  ])("a call of gRPC that has %p has that, whatever others have", (timeout, ms) => {
    const stage = new Stage();
    const client = asked(stage, {
      method: "POST",
      fields: [
        ["content-type", "application/grpc"],
        ["grpc-timeout", timeout],
      ],
    });
    stage.pass(ms - 1);
    expect(client.status).toBe(0);
    stage.pass(1);
    expect([client.status, stage.backend.last.wasReset]).toEqual([504, true]);
  });

  test("the time for an answer begins when the request is whole", () => {
    const stage = new Stage();
    const client = asked(stage, { method: "POST", contentLength: 1 });
    stage.pass(6_000);
    client.body("a");
    client.finish();
    stage.pass(4_999);
    expect(client.status).toBe(0);
    stage.pass(1);
    expect(client.status).toBe(504);
  });

  test("an upgrade is to be answered in time, too", () => {
    const stage = new Stage();
    const client = asked(stage, { upgrade: "websocket" });
    stage.pass(4_999);
    expect(client.status).toBe(0);
    stage.pass(1);
    expect([client.status, stage.backend.last.wasReset]).toEqual([504, true]);
  });

  test("a body that does not come is its client's fault, unless the backend does not take it", () => {
    const stage = new Stage();
    const client = asked(stage, { method: "POST", contentLength: 10 });
    client.body("abc");
    stage.pass(20_000);
    expect([client.status, stage.backend.last.wasReset]).toEqual([408, true]);
    expect(stage.refusals).toEqual(["http_slow"]);
    const held = asked(stage, { method: "POST", contentLength: 10 });
    stage.backend.last.takes = false;
    held.body("abc");
    stage.pass(20_000);
    expect(held.status).toBe(504);
  });

  test.each([
    ["a body that does not come", { method: "POST", contentLength: 10 }],
    [
      "a call that has a nanosecond",
      {
        method: "POST",
        fields: [
          ["content-type", "application/grpc"],
          ["grpc-timeout", "1n"],
        ] as [string, string][],
      },
    ],
  ])("%s leaves no target out, however often", (_, request) => {
    const stage = new Stage({ targets: 2 });
    for (let i = 0; i < 8; i++) {
      const client = stage.ask(request);
      stage.backends.find(({ dials }) => dials.length > 0)!.connect();
      stage.pass(20_000);
      expect(client.status).toBeGreaterThanOrEqual(400);
    }
    expect(stage.targetEvents).toEqual([]);
  });

  test("connections that had rested leave no target out when they turn out to be closed", () => {
    const stage = new Stage({ targets: 2 });
    const ask = (): FakeClient => stage.ask({ method: "POST" });
    for (let i = 0; i < 8; i++) ask();
    for (const backend of stage.backends) {
      while (backend.dials.length > 0) backend.connect();
      for (const stream of backend.streams) stream.respond(204, true);
    }
    const clients = Array.from({ length: 8 }, ask);
    for (const backend of stage.backends) {
      expect(backend.connections.map(({ streams }) => streams.length)).toEqual([2, 2, 2, 2]);
      for (const connection of backend.connections) connection.gone(failure("closed"));
    }
    expect(clients.map(({ status }) => status)).toEqual(new Array(8).fill(502));
    expect(stage.targetEvents).toEqual([]);
  });

  test("requests whose streams backends reset on new connections leave no target out", () => {
    const stage = new Stage({ targets: 2 });
    for (let i = 0; i < 8; i++) {
      const client = stage.ask();
      const backend = stage.backends.find(({ dials }) => dials.length > 0)!;
      backend.connect();
      backend.last.fail(failure("stream_reset"));
      expect(client.status).toBe(502);
    }
    expect(stage.targetEvents).toEqual([]);
  });

  test("a request that cannot be written leaves no target out", () => {
    const stage = new Stage({ targets: 2 });
    for (let i = 0; i < 8; i++) {
      const client = stage.ask();
      const backend = stage.backends.find(({ dials }) => dials.length > 0)!;
      backend.connect();
      backend.last.fail(failure("internal"));
      expect(client.status).toBe(500);
    }
    expect(stage.targetEvents).toEqual([]);
  });

  test("a request that takes its whole time to come, or most of it, leaves no target out", () => {
    const stage = new Stage({
      breaker: breakerPlan({ failures: 1 }),
      timeouts: { totalMs: 10_000 },
    });
    for (const takesMs of [6_000, Infinity]) {
      const client = asked(stage, { method: "POST", contentLength: 10 });
      for (let ms = 0; ms < 10_000; ms += 1_000) {
        if (ms < takesMs) client.body("a");
        else if (!client.requestEnded) client.finish();
        stage.pass(1_000);
      }
      expect(client.status).toBe(504);
    }
    expect(stage.targetEvents).toEqual([]);
    asked(stage);
    stage.pass(10_000);
    expect(stage.targetEvents).not.toEqual([]);
  });

  test("an answer that does not move is cut off", () => {
    const stage = new Stage();
    const client = asked(stage);
    stage.backend.last.respond(200);
    stage.pass(19_999);
    stage.backend.last.body("a");
    stage.pass(19_999);
    expect(client.end).toBe("open");
    stage.pass(1);
    expect([client.end, stage.backend.last.wasReset]).toEqual(["reset", true]);
  });

  test("the whole exchange has its time, an upgraded connection has not", () => {
    const stage = new Stage({ timeouts: { totalMs: 10_000 } });
    const client = asked(stage);
    stage.backend.last.respond(200);
    const tunnel = asked(stage, { upgrade: "websocket" });
    stage.backend.last.respond(101);
    stage.pass(10_000);
    expect([client.end, tunnel.end]).toEqual(["reset", "open"]);
    stage.pass(10_000);
    expect(tunnel.end).toBe("reset");
  });
});

describe("an answer that breaks off", () => {
  test("breaks off for the client", () => {
    const stage = new Stage({ targets: 2, retries: ELSEWHERE });
    const client = asked(stage);
    stage.backend.last.respond(200);
    stage.backend.last.body("half");
    stage.backend.last.fail(failure("closed"));
    expect([client.end, client.received]).toEqual(["reset", "half"]);
    expect(stage.records[0]).toMatchObject({ status: 200, bytesDown: 4 });
    expect(stage.targets.activeOf(0)).toBe(0);
  });
});

describe("an upgrade", () => {
  test("that is accepted moves bytes both ways, and its directions end apart", () => {
    const stage = new Stage();
    const client = asked(stage, { upgrade: "websocket" });
    const { last } = stage.backend;
    expect(client.paused).toBe(true);
    last.respond(101);
    expect([client.status, client.paused]).toEqual([101, false]);
    client.body("ping");
    last.body("pong");
    last.finish();
    expect(client.end).toBe("open");
    client.body("more");
    expect([last.received, client.received]).toEqual(["pingmore", "pong"]);
    client.finish();
    expect([last.requestEnded, client.end]).toEqual([true, "complete"]);
    expect(stage.exchanges.count).toBe(0);
  });

  test("ends when the client ends first, too", () => {
    const stage = new Stage();
    const client = asked(stage, { upgrade: "websocket" });
    stage.backend.last.respond(101);
    client.finish();
    expect(stage.backend.last.requestEnded).toBe(true);
    stage.backend.last.body("late");
    stage.backend.last.finish();
    expect([client.end, client.received]).toEqual(["complete", "late"]);
  });

  test("that is not accepted is an answer like any other, and its connection is used again", () => {
    const stage = new Stage();
    const client = asked(stage, { upgrade: "websocket" });
    stage.backend.last.respond(403);
    stage.backend.last.body("no");
    stage.backend.last.finish();
    expect([client.end, client.received]).toEqual(["complete", "no"]);
    expect(stage.backend.last.wasReset).toBe(false);
    stage.ask();
    expect(stage.backend.connections).toHaveLength(1);
  });
});

test("an upgrade that is answered with a success of another kind is no tunnel to a client of HTTP/2", () => {
  for (const [version, status, expected] of [
    [20, 200, 501],
    [20, 204, 501],
    [20, 101, 101],
    [20, 404, 404],
    [11, 200, 200],
  ] as const) {
    const stage = new Stage();
    const client = asked(stage, { upgrade: "websocket", version });
    stage.backend.last.respond(status);
    expect(client.status).toBe(expected);
  }
});

describe("bodies that are too large", () => {
  test("are refused by their length, before a backend hears of them", () => {
    const stage = new Stage({ bodyBytes: 10 });
    const client = stage.ask({ method: "POST", contentLength: 11 });
    expect([client.status, stage.backend.dials.length]).toEqual([413, 0]);
    expect(stage.refusals).toEqual(["http_body_too_large"]);
  });

  test("are refused when they turn out to be", () => {
    const stage = new Stage({ bodyBytes: 3 });
    const client = asked(stage, { method: "POST", contentLength: -1 });
    client.body("abc");
    client.body("d");
    expect([client.status, stage.backend.last.wasReset]).toEqual([413, true]);
    expect(stage.targets.activeOf(0)).toBe(0);
  });

  test("are cut off when the answer has begun", () => {
    const stage = new Stage({ bodyBytes: 3 });
    const client = asked(stage, { method: "POST", contentLength: -1 });
    stage.backend.last.respond(200);
    client.body("abcd");
    expect(client.end).toBe("reset");
  });
});

describe("answers of this proxy's own", () => {
  test("have no body for HEAD", () => {
    const stage = new Stage({ refusal: 404 });
    expect(stage.ask().received).toBe("error 404");
    expect(stage.ask({ method: "HEAD" })).toMatchObject({ status: 404, received: "" });
    expect(stage.stats.http.ownAnswers["4xx"]).toBe(2);
  });

  test("tell a client whose target is too busy", () => {
    const stage = new Stage();
    const clients = Array.from({ length: HTTP_POOL.waitingMax }, () => stage.ask());
    const late = stage.ask();
    expect([late.status, stage.refusals]).toEqual([503, ["http_queue"]]);
    expect(clients.every(({ end }) => end === "open")).toBe(true);
  });
});
