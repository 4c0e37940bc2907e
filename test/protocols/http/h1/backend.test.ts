// A backend's connection on a wire without a socket: what it sends, what it tells of what comes, and when it may be used again.

import { describe, expect, test } from "bun:test";

import type { Failure, ResponseEvents } from "../../../../src/protocols/http/exchange.ts";
import { Http1Backend } from "../../../../src/protocols/http/h1/backend.ts";
import { fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import { RequestHead, UNKNOWN_LENGTH } from "../../../../src/protocols/http/message/heads.ts";
import { ANSWERS } from "../smuggling/answers.ts";
import { type Downgrade, DOWNGRADES } from "../smuggling/downgrades.ts";
import { MemoryWire, settled } from "./support/memory-wire.ts";
import { backendSetup } from "./support/setups.ts";

/** What a request's events were told, as text. */
class Answers implements ResponseEvents {
  readonly told: string[] = [];
  body = "";
  failure: Failure | null = null;

  onInformational({ status, fields }: Parameters<ResponseEvents["onInformational"]>[0]): void {
    this.told.push(`${status} ${JSON.stringify(fields.entries())}`);
  }

  onResponse({
    status,
    fields,
    contentLength,
    bodyless,
  }: Parameters<ResponseEvents["onResponse"]>[0]): void {
    const end = bodyless ? " bodyless" : "";
    this.told.push(`${status} ${contentLength}${end} ${JSON.stringify(fields.entries())}`);
  }

  onResponseBody(bytes: Uint8Array): void {
    this.body += Buffer.from(bytes).toString("latin1");
  }

  onResponseEnd(trailers: Parameters<ResponseEvents["onResponseEnd"]>[0]): void {
    this.told.push(`end ${JSON.stringify(trailers?.entries() ?? [])}`);
  }

  onResponseFailure(failure: Failure): void {
    this.failure = failure;
    this.told.push(`failure ${failure.code}`);
  }

  onBackendDrain(): void {
    this.told.push("drain");
  }
}

function makeHead({
  method = "GET",
  path = "/",
  authority = "a.example",
  ...rest
}: Partial<Downgrade> = {}): RequestHead {
  const head = new RequestHead();
  head.fields.copy(fieldsOf(rest.fields ?? []));
  head.method = method;
  head.path = path;
  head.authority = authority;
  head.upgrade = rest.upgrade ?? "";
  head.contentLength = rest.contentLength ?? 0;
  return head;
}

function open(): {
  wire: MemoryWire;
  backend: Http1Backend;
  told: ReturnType<typeof backendSetup>["told"];
} {
  const wire = new MemoryWire();
  const setup = backendSetup(wire);
  return { wire, backend: new Http1Backend(setup), told: setup.told };
}

/** Sends a request, and feeds its answer in pieces of this many bytes. */
async function answer(
  bytes: string,
  method = "GET",
  size = bytes.length,
): Promise<{ answers: Answers; free: number }> {
  const { wire, backend } = open();
  const answers = new Answers();
  backend.request(makeHead({ method }), answers);
  for (let at = 0; at < bytes.length; at += size) wire.feed(bytes.slice(at, at + size));
  await settled();
  return { answers, free: backend.free };
}

describe("answers that two programs could read differently", () => {
  for (const given of ANSWERS) {
    test(given.name, async () => {
      for (const size of [given.bytes.length, 1, 5]) {
        const { answers, free } = await answer(given.bytes, given.method, size);
        if (given.told === null) expect(answers.told.at(-1)).toBe("failure malformed");
        else expect([answers.body, answers.failure]).toEqual([given.told, null]);
        // In pieces, what follows an answer comes when the connection rests already, and ends it all the same.
        expect(free).toBe(given.reused ? 1 : 0);
      }
    });
  }
});

describe("requests that HTTP/1.1 cannot say", () => {
  for (const { name, written, ...parts } of DOWNGRADES) {
    test(name, async () => {
      const { wire, backend } = open();
      const answers = new Answers();
      backend.request(makeHead(parts), answers);
      await settled();
      expect(wire.sent).toBe(written ?? "");
      if (written !== null) return;
      expect(answers.told).toEqual(["failure internal"]);
      expect(backend.free).toBe(1);
    });
  }
});

describe("sending", () => {
  test("a head and the body that follows at once are one write", async () => {
    const { wire, backend } = open();
    const stream = backend.request(makeHead({ method: "POST", contentLength: 5 }), new Answers());
    stream.sendBody(Buffer.from("hello"));
    stream.sendEnd(null);
    await settled();
    expect(wire.writes).toEqual([
      "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
    ]);
  });

  test("a body of unknown length goes in chunks, with trailers behind them", async () => {
    const { wire, backend } = open();
    const stream = backend.request(
      makeHead({ method: "POST", contentLength: UNKNOWN_LENGTH }),
      new Answers(),
    );
    stream.sendBody(Buffer.from("hello"));
    stream.sendBody(Buffer.alloc(0));
    stream.sendBody(Buffer.alloc(300, "x"));
    stream.sendEnd(fieldsOf([["x-sum", "1"]]));
    await settled();
    expect(wire.sent).toBe(
      `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n12c\r\n${"x".repeat(300)}\r\n` +
        "0\r\nx-sum: 1\r\n\r\n",
    );
  });

  test("a large chunk is written by itself, and its size is right", async () => {
    const { wire, backend } = open();
    const stream = backend.request(
      makeHead({ method: "POST", contentLength: UNKNOWN_LENGTH }),
      new Answers(),
    );
    stream.sendBody(Buffer.alloc(100_000, "x"));
    stream.sendEnd(null);
    await settled();
    expect(wire.sent).toEndWith(`\r\n\r\n186a0\r\n${"x".repeat(100_000)}\r\n0\r\n\r\n`);
    expect(wire.writes).toHaveLength(3);
  });

  test("a body that is shorter than its length breaks the connection", async () => {
    const { wire, backend } = open();
    const answers = new Answers();
    const stream = backend.request(makeHead({ method: "POST", contentLength: 5 }), answers);
    stream.sendBody(Buffer.from("hell"));
    stream.sendEnd(null);
    expect([wire.wasReset, answers.told]).toEqual([true, ["failure internal"]]);
  });

  test("a body is not longer than its length", async () => {
    const { wire, backend } = open();
    const stream = backend.request(makeHead({ method: "POST", contentLength: 5 }), new Answers());
    stream.sendBody(Buffer.from("hello GET /smuggled"));
    stream.sendEnd(null);
    await settled();
    expect(wire.sent).toEndWith("\r\n\r\nhello");
  });

  test("a full wire says stop, and go on when it has drained", async () => {
    const { wire, backend } = open();
    const answers = new Answers();
    const stream = backend.request(makeHead({ method: "POST", contentLength: 200_000 }), answers);
    wire.isFull = true;
    expect(stream.sendBody(Buffer.alloc(100_000))).toBe(false);
    wire.feedDrain();
    expect(answers.told).toEqual(["drain"]);
    expect(stream.sendBody(Buffer.alloc(100_000))).toBe(true);
  });

  test("expectations, trailers that are taken and upgrades are said in their fields", async () => {
    const { wire, backend } = open();
    const head = makeHead({ upgrade: "websocket" });
    head.takesTrailers = true;
    backend.request(head, new Answers());
    await settled();
    expect(wire.sent).toBe(
      "GET / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nConnection: Upgrade, TE\r\nUpgrade: websocket\r\n\r\n",
    );
  });
});

describe("answers", () => {
  test("fields of the connection are not told, and what it nominates neither", async () => {
    const { answers } = await answer(
      "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 1\r\nX-Hop: 1\r\nX-A: b\r\nContent-Length: 0\r\n\r\n",
    );
    expect(answers.told).toEqual(['200 0 bodyless [["x-a","b"]]']);
  });

  test("a body that ends with the connection", async () => {
    const { wire, backend, told } = open();
    const answers = new Answers();
    backend.request(makeHead(), answers);
    wire.feed("HTTP/1.1 200 OK\r\n\r\nhel");
    wire.feed("lo");
    wire.feedEnd();
    expect([answers.body, answers.told.at(-1), backend.free]).toEqual(["hello", "end []", 0]);
    expect(told.gone).toEqual([null]);
  });

  test("a body that ends with a reset is not whole", async () => {
    const { wire, backend } = open();
    const answers = new Answers();
    backend.request(makeHead(), answers);
    wire.feed("HTTP/1.1 200 OK\r\n\r\nhel");
    wire.feedClose("ECONNRESET");
    expect(answers.told.at(-1)).toBe("failure reset");
  });

  test("informational answers come before the answer, and not without end", async () => {
    const hint = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    const few = await answer(`${hint}${hint}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`);
    expect(few.answers.told).toEqual([
      '103 [["link","a"]]',
      '103 [["link","a"]]',
      "200 0 bodyless []",
    ]);
    const many = await answer(hint.repeat(100));
    expect(many.answers.told.at(-1)).toBe("failure malformed");
  });

  test("a head that is too large", async () => {
    const { answers } = await answer(`HTTP/1.1 200 OK\r\nX-A: ${"x".repeat(70_000)}\r\n\r\n`);
    expect(answers.told).toEqual(["failure too_large"]);
  });

  test("trailers", async () => {
    const { answers, free } = await answer(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\nSet-Cookie: a\r\n\r\n",
    );
    expect([answers.body, answers.told.at(-1), free]).toEqual([
      "ok",
      'end [["grpc-status","0"]]',
      1,
    ]);
  });

  test("an upgrade that is accepted is a tunnel", async () => {
    const { wire, backend, told } = open();
    const answers = new Answers();
    const stream = backend.request(makeHead({ upgrade: "websocket" }), answers);
    wire.feed(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nX-A: b\r\n\r\nfirst",
    );
    expect([answers.told, answers.body]).toEqual([['101 -1 [["x-a","b"]]'], "first"]);
    stream.sendBody(Buffer.from("hi"));
    stream.sendEnd(null);
    expect([wire.sent.endsWith("hi"), wire.hasEnded]).toEqual([true, true]);
    wire.feedEnd();
    wire.feedClose(null);
    expect([answers.told.at(-1), told.gone]).toEqual(["end []", [null]]);
  });

  test("an upgrade to something else is malformed", async () => {
    const { wire, backend } = open();
    const answers = new Answers();
    backend.request(makeHead({ upgrade: "websocket" }), answers);
    wire.feed("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    expect(answers.told).toEqual(["failure malformed"]);
  });

  test("an upgrade that is not taken up leaves a connection that can be used again", async () => {
    const { wire, backend } = open();
    const answers = new Answers();
    backend.request(makeHead({ upgrade: "websocket" }), answers);
    wire.feed("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
    expect([answers.body, backend.free]).toEqual(["no", 1]);
  });
});

describe("when it may be used again", () => {
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

  test("after each whole answer", async () => {
    const { wire, backend, told } = open();
    for (let i = 1; i <= 3; i++) {
      expect([backend.free, backend.active, backend.closing]).toEqual([1, 0, false]);
      backend.request(makeHead(), new Answers());
      expect([backend.free, backend.active]).toEqual([0, 1]);
      wire.feed(OK);
      expect(told.changes).toBe(i);
    }
    expect(told.ready).toBe(1);
  });

  test("not when it was answered before the request was sent", async () => {
    const { wire, backend, told } = open();
    const answers = new Answers();
    backend.request(makeHead({ method: "POST", contentLength: 100 }), answers);
    wire.feed(OK);
    expect(answers.told).toEqual(["200 0 bodyless []"]);
    expect([wire.wasReset, backend.free, told.gone.length]).toEqual([true, 0, 1]);
  });

  test("not after bytes that nobody asked for", () => {
    const { wire, backend, told } = open();
    wire.feed("HTTP/1.1 408 Request Timeout\r\n\r\n");
    expect([backend.free, wire.wasReset, told.gone]).toEqual([0, true, [null]]);
  });

  test("not after the backend's end, which is told as no failure", () => {
    const { wire, backend, told } = open();
    wire.feedEnd();
    expect([backend.free, wire.hasEnded, told.gone]).toEqual([0, true, [null]]);
  });

  test.each([["end"], ["ECONNRESET"], ["EPIPE"]])(
    "an end by %s before the first byte of an answer is told apart",
    (how) => {
      const { wire, backend } = open();
      const answers = new Answers();
      backend.request(makeHead(), answers);
      if (how === "end") wire.feedEnd();
      else wire.feedClose(how);
      expect(["closed", "reset"]).toContain(answers.failure!.code);
      const begun = open();
      const cut = new Answers();
      begun.backend.request(makeHead(), cut);
      begun.wire.feed("HTTP/1.1 2");
      if (how === "end") begun.wire.feedEnd();
      else begun.wire.feedClose(how);
      expect(cut.failure!.code).toBe("malformed");
    },
  );

  test("closing lets what is under way go on", async () => {
    const { wire, backend, told } = open();
    const answers = new Answers();
    backend.request(makeHead(), answers);
    backend.close();
    expect([backend.closing, wire.hasEnded]).toEqual([true, false]);
    wire.feed(OK);
    expect([answers.told.length, wire.hasEnded, told.gone.length]).toEqual([1, true, 1]);
  });

  test("destroying tells what is under way", () => {
    const { wire, backend, told } = open();
    const answers = new Answers();
    backend.request(makeHead(), answers);
    backend.destroy();
    expect([wire.wasReset, answers.told, told.gone.length]).toEqual([true, ["failure drain"], 1]);
  });

  test("a paused answer that is complete leaves a wire that is read", async () => {
    const { wire, backend } = open();
    const answers = new Answers();
    const stream = backend.request(makeHead(), answers);
    answers.onResponseBody = () => stream.pause();
    wire.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await settled();
    expect([wire.isPaused, backend.free]).toEqual([false, 1]);
  });
});
