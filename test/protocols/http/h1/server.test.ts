// A client's connection on a wire without a socket: one exchange after the other, what is answered and in which framing, what is
// refused, and which limits of time end it.

import { describe, expect, test } from "bun:test";

import type {
  ClientStream,
  Failure,
  RequestEvents,
} from "../../../../src/protocols/http/exchange.ts";
import { Http1Server } from "../../../../src/protocols/http/h1/server.ts";
import { fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import {
  type RequestHead,
  ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../../src/protocols/http/message/heads.ts";
import { HTTP_RELAY } from "../../../../src/shared/limits.ts";
import { MemoryWire, settled } from "./support/memory-wire.ts";
import { serverSetup } from "./support/setups.ts";

/** One request, and what its events were told. */
class Request implements RequestEvents {
  readonly stream: ClientStream;
  readonly line: string;
  readonly fields: [string, string][];
  readonly contentLength: number;
  readonly upgrade: string;
  readonly expectsContinue: boolean;
  body = "";
  ends = 0;
  trailers: [string, string][] = [];
  failure: Failure | null = null;
  drains = 0;

  constructor(stream: ClientStream, head: RequestHead) {
    this.stream = stream;
    stream.events = this;
    this.line = `${head.version} ${head.scheme} ${head.method} ${head.authority} ${head.path}`;
    this.fields = head.fields.entries();
    this.contentLength = head.contentLength;
    this.upgrade = head.upgrade;
    this.expectsContinue = head.expectsContinue;
  }

  onRequestBody(bytes: Uint8Array): void {
    this.body += Buffer.from(bytes).toString("latin1");
  }

  onRequestEnd(trailers: Parameters<RequestEvents["onRequestEnd"]>[0]): void {
    this.ends++;
    this.trailers = trailers?.entries() ?? [];
  }

  onRequestFailure(failure: Failure): void {
    this.failure = failure;
  }

  onClientDrain(): void {
    this.drains++;
  }

  /** Sends a head; with text, a whole answer of that length. */
  answer(
    text: string | null,
    changes: Partial<ResponseHead> = {},
    fields: [string, string][] = [],
  ): void {
    const head = makeHead(text, changes, fields);
    this.stream.sendHead(head);
    if (head.bodyless || text === null) return;
    this.stream.sendBody(Buffer.from(text));
    this.stream.sendEnd(null);
  }
}

function makeHead(
  text: string | null,
  changes: Partial<ResponseHead>,
  fields: [string, string][],
): ResponseHead {
  const head = new ResponseHead();
  head.fields.copy(fieldsOf(fields));
  return Object.assign(head, { contentLength: text?.length ?? UNKNOWN_LENGTH }, changes);
}

type Changes = Parameters<typeof serverSetup>[2];

interface Opened {
  readonly wire: MemoryWire;
  readonly server: Http1Server;
  readonly requests: Request[];
  readonly told: ReturnType<typeof serverSetup>["told"];
}

/** @param taken is called with each request before its taker returns. */
function open(taken: (request: Request) => void = () => {}, changes: Changes = {}): Opened {
  const wire = new MemoryWire();
  const requests: Request[] = [];
  const setup = serverSetup(
    wire,
    (stream, head) => {
      const request = new Request(stream, head);
      requests.push(request);
      taken(request);
    },
    changes,
  );
  return { wire, server: new Http1Server(setup), requests, told: setup.told };
}

const GET = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
const GET_10 = "GET /a HTTP/1.0\r\nHost: a.example\r\n\r\n";
const POST = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n";
const CHUNKED = "POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
const EXPECT =
  "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

describe("requests", () => {
  test("a head in neutral form", () => {
    const { wire, requests } = open();
    wire.feed(
      "GET /a?b HTTP/1.1\r\nAccept: */*\r\nHost: a.example:80\r\nTE: trailers\r\nX-A: b\r\n\r\n",
    );
    expect(requests).toHaveLength(1);
    expect(requests[0]!.line).toBe("11 http GET a.example:80 /a?b");
    expect(requests[0]!.fields).toEqual([
      ["accept", "*/*"],
      ["x-a", "b"],
    ]);
    expect(requests[0]!.ends).toBe(1);
  });

  test("a body waits until it is resumed", async () => {
    const { wire, requests } = open();
    wire.feed(`${POST}hello`);
    expect([requests[0]!.body, wire.isPaused]).toEqual(["", true]);
    requests[0]!.stream.resume();
    expect(requests[0]!.body).toBe(""); // not from within the call
    await settled();
    expect([requests[0]!.body, requests[0]!.ends, wire.isPaused]).toEqual(["hello", 1, false]);
  });

  test("a body that is taken at once is told at once", () => {
    const { wire, requests } = open((request) => request.stream.resume());
    wire.feed(`${POST}hel`);
    wire.feed("lo");
    expect([requests[0]!.body, requests[0]!.ends]).toEqual(["hello", 1]);
  });

  test("what names no protocol, as a broken preface of HTTP/2, is not answered, whole and in pieces", () => {
    for (const pieces of [
      ["INVALID CONNECTION PREFACE\r\n\r\n"],
      [..."INVALID CONNECTION PREFACE\r\n"],
    ]) {
      const { wire, requests } = open();
      for (const piece of pieces) wire.feed(piece);
      expect([requests.length, wire.sent, wire.hasEnded]).toEqual([0, "", true]);
    }
  });

  test("chunks with trailers", () => {
    const { wire, requests } = open((request) => request.stream.resume());
    wire.feed(`${CHUNKED}3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n`);
    expect([requests[0]!.contentLength, requests[0]!.body]).toEqual([UNKNOWN_LENGTH, "hello"]);
    expect(requests[0]!.trailers).toEqual([["x-sum", "1"]]);
  });

  test("a body that is paused holds no more than what was on its way", async () => {
    const { wire, requests } = open((request) => request.stream.resume());
    wire.feed(`${POST}he`);
    requests[0]!.stream.pause();
    expect(wire.isPaused).toBe(true);
    wire.feed("llo");
    expect(requests[0]!.body).toBe("he");
    requests[0]!.stream.resume();
    await settled();
    expect([requests[0]!.body, requests[0]!.ends]).toEqual(["hello", 1]);
  });
});

describe("answers", () => {
  test("one with a body that comes at once is one write", () => {
    const { wire } = open((request) => request.answer("hello", {}, [["x-a", "b"]]));
    wire.feed(GET);
    expect(wire.writes).toEqual(["HTTP/1.1 200 OK\r\nx-a: b\r\nContent-Length: 5\r\n\r\nhello"]);
  });

  test("one without a length is chunked", async () => {
    const { wire } = open((request) => {
      request.answer(null);
      request.stream.sendBody(Buffer.from("hello"));
      request.stream.sendEnd(fieldsOf([["x-sum", "1"]]));
    });
    wire.feed(GET);
    expect(wire.writes).toEqual([
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
    ]);
  });

  test("a head that waits for its body goes out by itself", async () => {
    const { wire, requests } = open();
    wire.feed(GET);
    requests[0]!.answer(null);
    await settled();
    expect(wire.writes).toEqual(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]);
    requests[0]!.stream.sendBody(Buffer.from("event"));
    expect(wire.writes[1]).toBe("5\r\nevent\r\n");
  });

  test.each([
    ["HEAD with a length", "HEAD", 200, 5, "Content-Length: 5\r\n"],
    ["HEAD without a length", "HEAD", 200, UNKNOWN_LENGTH, ""],
    ["204", "GET", 204, 0, ""],
    ["304 with a length", "GET", 304, 5, "Content-Length: 5\r\n"],
    ["304 without a length", "GET", 304, UNKNOWN_LENGTH, ""],
    ["200 that has ended", "GET", 200, UNKNOWN_LENGTH, "Content-Length: 0\r\n"],
  ])(
    "%s has no body, and the next request follows",
    (_name, method, status, contentLength, said) => {
      const { wire, requests } = open((request) =>
        request.answer(null, { status, contentLength, bodyless: true }),
      );
      wire.feed(GET.replace("GET", method) + GET);
      expect(requests).toHaveLength(2);
      expect(wire.sent).toContain(said === "" ? "\r\n\r\nHTTP/1.1" : `\r\n${said}\r\nHTTP/1.1`);
      expect(wire.sent.split("\r\n\r\n")[0]).not.toContain("chunked");
    },
  );

  test("one that is shorter than its length cuts the client off", () => {
    const { wire, requests, told } = open();
    wire.feed(GET);
    requests[0]!.answer(null, { contentLength: 10 });
    requests[0]!.stream.sendBody(Buffer.from("hello"));
    requests[0]!.stream.sendEnd(null);
    expect([wire.wasReset, requests[0]!.failure!.code, told.gone.length]).toEqual([
      true,
      "internal",
      1,
    ]);
  });

  test("one that is broken off cuts the client off", () => {
    const { wire, requests } = open();
    wire.feed(GET);
    requests[0]!.answer(null);
    requests[0]!.stream.reset({ code: "closed", message: "", unprocessed: false });
    expect([wire.wasReset, requests[0]!.failure]).toEqual([true, null]);
  });

  test("one that HTTP/1.1 cannot say is not sent", () => {
    const { wire, requests } = open((request) =>
      request.answer("x", {}, [["x-a", "b\r\nSet-Cookie: c"]]),
    );
    wire.feed(GET);
    expect([wire.sent, wire.wasReset, requests[0]!.failure!.code]).toEqual(["", true, "internal"]);
  });

  test("requests wait until their client reads the answers to those before", async () => {
    const { wire, requests } = open((request) => request.answer("hello"));
    wire.isFull = true;
    wire.feed(GET);
    wire.feed(`${GET}${GET}`);
    await settled();
    expect([requests.length, wire.isPaused]).toEqual([1, true]);
    wire.feedEnd();
    wire.feedDrain();
    await settled();
    expect([requests.length, wire.isPaused, wire.hasEnded]).toEqual([3, false, true]);
  });

  test("a full wire says stop, and the events go on when it has drained", () => {
    const { wire, requests } = open();
    wire.feed(GET);
    requests[0]!.answer(null, { contentLength: 200_000 });
    wire.isFull = true;
    expect(requests[0]!.stream.sendBody(Buffer.alloc(100_000))).toBe(false);
    expect(requests[0]!.drains).toBe(0);
    wire.feedDrain();
    expect(requests[0]!.drains).toBe(1);
    expect(requests[0]!.stream.sendBody(Buffer.alloc(100_000))).toBe(true);
  });
});

describe("one after the other", () => {
  test("pipelined requests are answered in order, each when the one before is over", async () => {
    const { wire, requests } = open();
    wire.feed(GET + POST + "hello" + GET);
    expect([requests.length, wire.isPaused]).toEqual([1, true]);
    requests[0]!.answer("one");
    expect(requests).toHaveLength(1); // not from within the call
    await settled();
    expect(requests).toHaveLength(2);
    requests[1]!.stream.resume();
    await settled();
    expect([requests[1]!.body, requests.length]).toEqual(["hello", 2]);
    requests[1]!.answer("two");
    await settled();
    requests[2]!.answer("three");
    await settled();
    expect(wire.sent.match(/one|two|three/g)).toEqual(["one", "two", "three"]);
    expect(wire.isPaused).toBe(false);
  });

  test("a thousand that are answered at once take no stack", () => {
    const { wire, requests } = open((request) => request.answer("x"));
    wire.feed(GET.repeat(10_000));
    expect(requests).toHaveLength(10_000);
  });

  test("HTTP/1.0 keeps its connection only if it asks for it", () => {
    const kept = open((request) => request.answer("x"));
    kept.wire.feed(GET_10.replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"));
    expect([kept.wire.sent.includes("Connection: keep-alive\r\n"), kept.wire.hasEnded]).toEqual([
      true,
      false,
    ]);
    const ended = open((request) => request.answer("x"));
    ended.wire.feed(GET_10);
    expect([ended.wire.sent.includes("Connection: close\r\n"), ended.wire.hasEnded]).toEqual([
      true,
      true,
    ]);
  });

  test("HTTP/1.0 gets an answer without a length until the connection ends", () => {
    const { wire, requests } = open();
    wire.feed(GET_10.replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"));
    requests[0]!.answer(null);
    requests[0]!.stream.sendBody(Buffer.from("hello"));
    requests[0]!.stream.sendEnd(null);
    expect([wire.sent, wire.hasEnded]).toEqual([
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
      true,
    ]);
  });

  test("the last of so many requests on one connection is said to be", () => {
    const { wire, requests } = open((request) => request.answer("x"), {
      limits: { requestsPerConnection: 2 },
    });
    wire.feed(GET + GET + GET);
    expect([requests.length, wire.hasEnded]).toEqual([2, true]);
    expect(wire.sent.match(/Connection: close/g)).toHaveLength(1);
  });

  test("an answer that comes before its body ends discards the rest, and the next request follows", async () => {
    const { wire, requests } = open();
    wire.feed(`${POST}he`);
    requests[0]!.answer("early");
    await settled();
    wire.feed(`llo${GET}`);
    await settled();
    expect([requests.length, requests[0]!.body, wire.hasEnded]).toEqual([2, "", false]);
  });

  test("a rest that is too large to discard ends the connection", async () => {
    const { wire, requests } = open();
    wire.feed(POST.replace("5", "100000000"));
    requests[0]!.answer("early");
    await settled();
    expect([wire.sent.includes("Connection: close\r\n"), wire.hasEnded]).toEqual([true, true]);
  });

  test("nobody knows how much of a chunked body is left: the connection is not promised", async () => {
    const { wire, requests } = open();
    wire.feed(CHUNKED);
    requests[0]!.answer("early");
    await settled();
    expect([wire.sent.includes("Connection: close\r\n"), wire.hasEnded]).toEqual([true, true]);
  });
});

describe("100 Continue", () => {
  test("is sent when the body is wanted, and once", async () => {
    const { wire, requests } = open();
    wire.feed(EXPECT);
    expect([requests[0]!.expectsContinue, wire.sent]).toEqual([true, ""]);
    requests[0]!.stream.resume();
    expect(wire.sent).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    requests[0]!.stream.sendInformational(makeHead(null, { status: 100 }, []));
    wire.feed("hello");
    requests[0]!.answer("ok");
    expect([wire.sent.match(/ 100 /g)!.length, requests[0]!.body, wire.hasEnded]).toEqual([
      1,
      "hello",
      false,
    ]);
  });

  test("of the backend is passed on, and no other sent", () => {
    const { wire, requests } = open();
    wire.feed(EXPECT);
    requests[0]!.stream.sendInformational(makeHead(null, { status: 100 }, [["x-a", "b"]]));
    requests[0]!.stream.resume();
    expect(wire.sent).toBe("HTTP/1.1 100 Continue\r\nx-a: b\r\n\r\n");
  });

  test("is not sent to a client that did not wait for it", async () => {
    const { wire, requests } = open();
    wire.feed(`${EXPECT}hello`);
    requests[0]!.stream.resume();
    await settled();
    expect([wire.sent, requests[0]!.body]).toEqual(["", "hello"]);
  });

  test("that never came leaves open what follows, so the connection ends", () => {
    const { wire, requests } = open();
    wire.feed(EXPECT);
    requests[0]!.answer("no", { status: 417 });
    expect([wire.sent.includes("Connection: close\r\n"), wire.hasEnded]).toEqual([true, true]);
  });

  test("other informational answers are passed on, but not to HTTP/1.0", () => {
    const hint = (request: Request): void =>
      request.stream.sendInformational(makeHead(null, { status: 103 }, [["link", "a"]]));
    const { wire } = open(hint);
    wire.feed(GET);
    expect(wire.sent).toBe("HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n");
    const old = open(hint);
    old.wire.feed(GET_10);
    expect(old.wire.sent).toBe("");
  });
});

describe("upgrades", () => {
  const UPGRADE =
    "GET /a HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n";

  test("that are accepted are tunnels, with bytes that came early", async () => {
    const { wire, requests, told } = open();
    wire.feed(`${UPGRADE}early`);
    expect([requests[0]!.upgrade, requests[0]!.ends]).toEqual(["websocket", 0]);
    requests[0]!.answer(null, { status: 101 }, [["x-a", "b"]]);
    requests[0]!.stream.resume();
    await settled();
    expect(requests[0]!.body).toBe("early");
    expect(wire.sent).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nx-a: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    requests[0]!.stream.sendBody(Buffer.from("down"));
    requests[0]!.stream.sendEnd(null);
    expect([wire.sent.endsWith("down"), wire.hasEnded]).toEqual([true, true]);
    requests[0]!.stream.pause();
    wire.feed(" and late");
    requests[0]!.stream.resume();
    await settled();
    wire.feedEnd();
    expect([requests[0]!.body, requests[0]!.ends]).toEqual(["early and late", 1]);
    wire.feedClose(null);
    expect([requests[0]!.failure, told.gone]).toEqual([null, [null]]);
  });

  test("that are not accepted leave a connection for the next request", async () => {
    const { wire, requests } = open();
    wire.feed(UPGRADE + GET);
    requests[0]!.answer("no", { status: 400 });
    await settled();
    expect([requests.length, wire.hasEnded, requests[0]!.ends]).toEqual([2, false, 0]);
  });

  test("that nobody asked for are a failure", () => {
    const { wire, requests } = open();
    wire.feed(GET);
    requests[0]!.answer(null, { status: 101 });
    expect([wire.wasReset, requests[0]!.failure!.code]).toEqual([true, "malformed"]);
  });
});

describe("what is refused", () => {
  test("is answered with a small plain body, and the client may read it before the connection ends", () => {
    const { wire, told } = open();
    wire.feed("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    expect(wire.sent).toBe(
      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n",
    );
    expect([wire.hasEnded, wire.wasReset, wire.isPaused]).toEqual([true, false, false]);
    expect(told.refused).toEqual(["http_malformed Host came twice"]);
    wire.feed(GET);
    wire.feedEnd();
    wire.feedClose(null);
    expect(told.gone).toEqual([null]);
  });

  test("a head beyond the limit of bytes, to the byte", () => {
    const head = (bytes: number): string => {
      const rest = GET.length + "X-A: \r\n".length;
      return GET.replace("\r\n\r\n", `\r\nX-A: ${"x".repeat(bytes - rest)}\r\n\r\n`);
    };
    for (const split of [1 << 20, 100, 1]) {
      const fits = open((request) => request.answer("x"), { limits: { headBytes: 1_000 } });
      feedIn(fits.wire, head(1_000), split);
      expect(fits.requests).toHaveLength(1);
      const over = open((request) => request.answer("x"), { limits: { headBytes: 1_000 } });
      feedIn(over.wire, head(1_001), split);
      expect([over.requests.length, over.wire.sent.slice(9, 12)]).toEqual([0, "431"]);
      expect(over.told.refused).toEqual(["http_head_too_large the head is too large"]);
    }
  });

  test("a head beyond the limit of fields", () => {
    const { wire, requests } = open((request) => request.answer("x"), {
      limits: { headFields: 3 },
    });
    const head = (fields: number): string =>
      GET.replace("\r\n\r\n", `${"\r\nX-A: b".repeat(fields)}\r\n\r\n`);
    wire.feed(head(2));
    wire.feed(head(3));
    expect([requests.length, wire.writes[1]!.slice(9, 12)]).toEqual([1, "431"]);
  });

  test("a head that never ends is not looked through again and again", () => {
    const { wire } = open(() => {}, { limits: { headBytes: 1 << 20 } });
    wire.feed("GET / HTTP/1.1\r\nX-A: ");
    for (let i = 0; i < 300_000; i++) wire.feed("x");
    expect(wire.sent).toBe(""); // and not a minute later, as if each byte were parsed with all before it
  });

  test("a body that breaks off in the middle of an answer cuts both", () => {
    const { wire, requests } = open((request) => request.stream.resume());
    wire.feed(CHUNKED);
    requests[0]!.answer(null);
    wire.feed("x\r\n");
    expect([wire.wasReset, requests[0]!.failure!.code]).toEqual([true, "malformed"]);
  });
});

function feedIn(wire: MemoryWire, text: string, size: number): void {
  for (let at = 0; at < text.length; at += size) wire.feed(text.slice(at, at + size));
}

describe("ends", () => {
  test("of a client that rests", () => {
    const { wire, told } = open();
    wire.feedEnd();
    expect(wire.hasEnded).toBe(true);
    wire.feedClose(null);
    expect([told.gone, told.refused]).toEqual([[null], []]);
  });

  test("of a client that waits for its answer, which it gets", () => {
    const { wire, requests } = open();
    wire.feed(GET);
    wire.feedEnd();
    expect(wire.hasEnded).toBe(false);
    requests[0]!.answer("hello");
    expect([wire.sent.endsWith("hello"), wire.hasEnded]).toEqual([true, true]);
  });

  test("of a client in the middle of its body", () => {
    const { wire, requests } = open((request) => request.stream.resume());
    wire.feed(`${POST}he`);
    wire.feedEnd();
    expect([requests[0]!.failure!.code, wire.wasReset]).toEqual(["closed", true]);
  });

  test("of a client that goes away while it is answered", () => {
    const { wire, requests, told } = open();
    wire.feed(GET);
    wire.feedClose("ECONNRESET");
    expect([requests[0]!.failure!.code, told.gone[0]!.code]).toEqual(["reset", "reset"]);
    requests[0]!.answer("too late");
    requests[0]!.stream.reset({ code: "closed", message: "", unprocessed: false });
    expect([wire.sent, told.gone.length]).toEqual(["", 1]);
  });

  test("destroying tells the exchange and the listener", () => {
    const { wire, server, requests, told } = open();
    wire.feed(GET);
    server.destroy();
    server.destroy();
    expect([wire.wasReset, requests[0]!.failure!.code, told.gone.length]).toEqual([
      true,
      "drain",
      1,
    ]);
  });
});

describe("limits of time", () => {
  const timeouts = { headMs: 10_000, keepaliveMs: 60_000 };

  test("a first request that does not come ends the connection quietly", () => {
    const { wire, server, told } = open(undefined, { timeouts });
    server.sweep(9_999);
    expect(wire.hasEnded).toBe(false);
    server.sweep(10_000);
    expect([wire.hasEnded, wire.sent, told.refused]).toEqual([true, "", []]);
  });

  test("a head that does not end is 408, from the connection's beginning", () => {
    const { wire, server, told } = open(undefined, { timeouts });
    server.sweep(5_000);
    wire.feed("GET / HTTP/1.1\r\n");
    server.sweep(6_000);
    wire.feed("X-A: b\r\n");
    server.sweep(10_000);
    expect(wire.sent).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(told.refused).toEqual(["http_head_timeout a head took too long"]);
  });

  test("a later head has its time from its first byte", () => {
    const { wire, server } = open((request) => request.answer("x"), { timeouts });
    wire.feed(GET);
    server.sweep(50_000);
    wire.feed("GET / HTTP/1.1\r\n");
    server.sweep(51_000);
    server.sweep(60_999);
    expect(wire.sent).not.toContain("408");
    server.sweep(61_000);
    expect(wire.sent).toContain("HTTP/1.1 408");
  });

  test("a rest between requests, with or without an empty line, ends quietly", () => {
    for (const rest of ["", "\r\n"]) {
      const { wire, server } = open((request) => request.answer("x"), { timeouts });
      wire.feed(GET + rest);
      server.sweep(1_000);
      server.sweep(60_999);
      if (rest === "") expect(wire.hasEnded).toBe(false);
      server.sweep(61_000);
      expect([wire.hasEnded, wire.writes.length]).toEqual([true, 1]);
    }
  });

  test("a request that waits for its answer has no limit here", () => {
    const { wire, server } = open(undefined, { timeouts });
    wire.feed(GET);
    for (let now = 0; now < 1e6; now += 5_000) server.sweep(now);
    expect([wire.hasEnded, wire.wasReset]).toEqual([false, false]);
  });

  test("a body that comes too slowly is 408", () => {
    const { wire, server, requests, told } = open((request) => request.stream.resume(), {
      limits: { minBytesPerSecond: 100 },
    });
    wire.feed(POST.replace("5", "100000"));
    for (let now = 0; now <= 30_000; now += 1_000) {
      wire.feed("x".repeat(100));
      server.sweep(now);
    }
    expect(wire.sent).toBe("");
    for (let now = 31_000; now <= 41_000; now += 1_000) {
      wire.feed("x".repeat(50));
      server.sweep(now);
    }
    expect(wire.sent).toStartWith("HTTP/1.1 408");
    expect([requests[0]!.failure!.code, told.refused]).toEqual([
      "timeout",
      ["http_slow a body came too slowly"],
    ]);
  });

  test("a body that rests is slow after a minute, and not once its answer has begun", () => {
    const slow = open((request) => request.stream.resume(), {
      limits: { minBytesPerSecond: 100 },
    });
    slow.wire.feed(POST.replace("5", "100000"));
    for (let now = 0; now < 60_000; now += 1_000) slow.server.sweep(now);
    slow.wire.feed("x".repeat(2_000));
    for (let now = 60_000; now < 120_000; now += 1_000) slow.server.sweep(now);
    expect(slow.wire.sent).toBe("");
    for (let now = 120_000; now < 140_000; now += 1_000) slow.server.sweep(now);
    expect(slow.wire.sent).toStartWith("HTTP/1.1 408");
    const talk = open((request) => request.stream.resume(), { limits: { minBytesPerSecond: 100 } });
    talk.wire.feed(POST.replace("5", "100000"));
    talk.requests[0]!.stream.sendHead(new ResponseHead());
    for (let now = 0; now < 300_000; now += 1_000) talk.server.sweep(now);
    expect([talk.requests[0]!.failure, talk.wire.wasReset]).toEqual([null, false]);
  });

  test("a body that nobody reads is not its sender's fault", () => {
    const { wire, server, requests } = open(undefined, { limits: { minBytesPerSecond: 100 } });
    wire.feed(`${POST}he`);
    for (let now = 0; now <= 60_000; now += 1_000) server.sweep(now);
    expect([wire.sent, requests[0]!.failure]).toEqual(["", null]);
  });

  test("an answer that is read too slowly is cut off, and one that the backend is slow with is not", () => {
    const { wire, server, requests, told } = open(undefined, {
      limits: { minBytesPerSecond: 100 },
    });
    wire.feed(GET);
    requests[0]!.answer(null, { contentLength: 100_000 });
    requests[0]!.stream.sendBody(Buffer.alloc(50_000));
    for (let now = 0; now <= 60_000; now += 1_000) server.sweep(now);
    expect(wire.wasReset).toBe(false);
    wire.pending = 40_000;
    for (let now = 61_000; now <= 90_000; now += 1_000) {
      wire.pending -= 100;
      server.sweep(now);
    }
    expect(wire.wasReset).toBe(false);
    for (let now = 91_000; now <= 111_000; now += 1_000) server.sweep(now);
    expect([wire.wasReset, requests[0]!.failure!.code]).toEqual([true, "timeout"]);
    expect(told.refused).toEqual(["http_slow an answer was read too slowly"]);
  });

  test("whoever our own limit of bandwidth holds back is not too slow, and is asked again from when it does not", () => {
    const limits = { minBytesPerSecond: 100 };
    const sender = open((request) => request.stream.resume(), { limits });
    sender.wire.feed(POST.replace("5", "100000"));
    const reader = open(undefined, { limits });
    reader.wire.feed(GET);
    reader.requests[0]!.answer(null, { contentLength: 100_000 });
    reader.requests[0]!.stream.sendBody(Buffer.alloc(50_000));
    reader.wire.pending = 40_000;
    const look = (fromMs: number, toMs: number, isHeld: boolean): void => {
      sender.wire.isHeldUp = reader.wire.isHeldDown = isHeld;
      for (let now = fromMs; now <= toMs; now += 1_000) {
        sender.wire.feed("x");
        for (const { server } of [sender, reader]) server.sweep(now);
      }
    };
    look(0, 9_000, false);
    look(10_000, 60_000, true);
    look(61_000, 70_000, false);
    expect([sender.told.refused, reader.told.refused]).toEqual([[], []]);
    look(71_000, 72_000, false);
    expect(sender.told.refused).toEqual(["http_slow a body came too slowly"]);
    expect(reader.told.refused).toEqual(["http_slow an answer was read too slowly"]);
  });

  test("a client that does not end after the last answer is given up, once it has what was sent", () => {
    const { wire, server, told } = open((request) => request.answer("x"));
    wire.feed(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    wire.pending = 10;
    server.sweep(1_000);
    server.sweep(9_000);
    expect(wire.wasReset).toBe(false);
    wire.pending = 0;
    server.sweep(9_001);
    expect([wire.wasReset, told.gone]).toEqual([true, [null]]);
  });

  test("a connection that is old takes no further request", () => {
    const { wire, server, requests } = open(undefined, { timeouts: { lifetimeMs: 5_000 } });
    wire.feed(GET);
    server.sweep(5_000);
    expect(wire.hasEnded).toBe(false);
    requests[0]!.answer("x");
    expect([wire.sent.includes("Connection: close\r\n"), wire.hasEnded]).toEqual([true, true]);
  });
});

describe("draining", () => {
  const rested = HTTP_RELAY.drainRestMs;
  const close = "Connection: close\r\n";

  test("whoever has rested for long goes with the second look, without a word", () => {
    const { wire, server } = open((request) => request.answer("x"));
    wire.feed(GET);
    server.sweep(1_000);
    server.drain();
    server.sweep(1_000 + rested);
    expect(wire.hasEnded).toBe(false);
    server.sweep(1_000 + rested);
    expect([wire.sent.includes(close), wire.hasEnded]).toEqual([false, true]);
  });

  test("what has arrived before the second look is answered", () => {
    const { wire, server, requests } = open((request) => request.answer("x"));
    wire.feed(GET);
    server.sweep(1_000);
    server.drain();
    server.sweep(1_000 + rested);
    wire.feed(GET);
    server.sweep(1_000 + rested);
    expect([requests.length, wire.sent.includes(close), wire.hasEnded]).toEqual([2, true, true]);
  });

  test("a request that was on its way is answered, and the answer says that it is the last", () => {
    const { wire, server, requests } = open((request) => request.answer("x"));
    wire.feed(GET);
    server.drain();
    server.sweep(5_000);
    server.sweep(5_000 + rested - 1);
    expect(wire.hasEnded).toBe(false);
    wire.feed(GET + GET);
    expect([requests.length, wire.sent.split(close).length, wire.hasEnded]).toEqual([2, 2, true]);
  });

  test("one that nothing comes on is closed when it has rested", () => {
    const { wire, server } = open((request) => request.answer("x"));
    wire.feed(GET);
    server.drain();
    server.sweep(5_000);
    server.sweep(5_000 + rested);
    server.sweep(5_000 + rested);
    expect(wire.hasEnded).toBe(true);
  });

  test("who has just connected is waited for, from then on", () => {
    const { wire, server } = open();
    server.drain();
    server.sweep(rested - 1);
    expect(wire.hasEnded).toBe(false);
    server.sweep(rested);
    server.sweep(rested);
    expect(wire.hasEnded).toBe(true);
  });

  test("an answer that has not begun says that it is the last", () => {
    const { wire, server, requests } = open();
    wire.feed(GET);
    server.drain();
    server.sweep(5_000);
    server.sweep(5_000 + rested);
    expect(wire.hasEnded).toBe(false);
    requests[0]!.answer("x");
    expect([wire.sent.includes(close), wire.hasEnded]).toEqual([true, true]);
  });

  test("behind an answer that had begun, another request is answered", async () => {
    const { wire, server, requests } = open();
    wire.feed(GET);
    requests[0]!.answer(null, { contentLength: 1 });
    server.drain();
    requests[0]!.stream.sendBody(Buffer.from("x"));
    requests[0]!.stream.sendEnd(null);
    await settled();
    expect([wire.sent.includes(close), wire.hasEnded]).toEqual([false, false]);
    wire.feed(GET);
    requests[1]!.answer("y");
    expect([wire.sent.includes(close), wire.hasEnded]).toEqual([true, true]);
  });
});
