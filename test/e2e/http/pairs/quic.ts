// HTTP/3 of the runtime's node:quic, which the proxy does not use, as a client and as a backend of pairs.test.ts: see
// protocol.ts. It tells trailers whose frame comes in parts as a part of the body, in either role: nobody here sends it trailers
// behind a body that takes more than a packet.

import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  connect,
  listen,
  type QuicEndpoint,
  QuicError,
  type QuicSession,
  type QuicStream,
} from "node:quic";

import {
  type Answer,
  type Ask,
  bytesOf,
  CUT,
  EMPTY,
  HINTS,
  LENGTH,
  PART,
  Sum,
} from "./protocol.ts";

type Headers = Record<string, string | string[]>;

/** RFC 9114 section 8.1. */
const H3_INTERNAL_ERROR = 0x102n;
const H3_REQUEST_CANCELLED = 0x10cn;
const DRAINABLE = Symbol.for("Stream.drainableProtocol");
const IDLE_MS = 20_000;

/** Waits for room as the runtime's writers have it. @returns false: the stream is gone. */
async function write(stream: QuicStream, bytes: Uint8Array): Promise<boolean> {
  const writer = stream.writer as unknown as {
    writeSync(bytes: Uint8Array): boolean;
    [DRAINABLE](): Promise<unknown> | null;
  };
  while (!stream.destroyed) {
    if (writer.writeSync(bytes)) return true;
    const room = writer[DRAINABLE]();
    if (room === null) {
      // No room, and none to wait for: it has been stopped.
      if (stream.destroyed) return false;
      await Promise.resolve();
    } else await room.catch(() => {});
  }
  return false;
}

function end(stream: QuicStream): void {
  (stream.writer as unknown as { endSync(): number }).endSync();
}

export class QuicBackend implements AsyncDisposable {
  readonly #endpoint: QuicEndpoint;
  readonly #cancelled: (what: string) => void;

  private constructor(endpoint: QuicEndpoint, cancelled: (what: string) => void) {
    this.#endpoint = endpoint;
    this.#cancelled = cancelled;
  }

  static async start(
    certFile: string,
    keyFile: string,
    cancelled: (what: string) => void,
    host = "127.0.0.1",
  ): Promise<QuicBackend> {
    const identity = {
      keys: [createPrivateKey(readFileSync(keyFile))],
      certs: [readFileSync(certFile)],
    };
    let backend: QuicBackend | null = null;
    const endpoint = await listen((session) => backend!.#serve(session), {
      alpn: ["h3"],
      sni: { "*": identity },
      endpoint: { address: `${host}:0` },
      transportParams: { maxIdleTimeout: IDLE_MS },
      onerror: () => {},
    });
    backend = new QuicBackend(endpoint, cancelled);
    return backend;
  }

  get port(): number {
    return this.#endpoint.address!.port;
  }

  #serve(session: QuicSession): void {
    session.onstream = (stream) => {
      stream.closed.catch(() => {});
      let asked: Headers = {};
      stream.ontrailers = (trailers) => void (asked = trailers as Headers);
      stream.onheaders = (headers) => {
        const { ":path": path, ":method": method } = headers as Record<string, string>;
        void this.#answer(stream, path!.split("/").at(-1)!, method === "HEAD", () => asked);
      };
    };
  }

  async #answer(
    stream: QuicStream,
    name: string,
    head: boolean,
    asked: () => Headers,
  ): Promise<void> {
    const ok = { ":status": "200" };
    if (name === "echo" || name === "trailers") {
      return this.#echo(stream, name === "trailers" ? asked : null);
    }
    if (name === "hints") {
      stream.sendInformationalHeaders({ ":status": "103", link: "</a.css>; rel=preload" });
      stream.sendHeaders({ ...ok, "content-length": String(HINTS.length) });
      await write(stream, Buffer.from(HINTS));
      return end(stream);
    }
    if (name === "length") {
      stream.sendHeaders({ ...ok, "content-length": String(LENGTH) }, { terminal: head });
      if (head) return;
      await write(stream, bytesOf(LENGTH));
      return end(stream);
    }
    if (name === "cut") {
      stream.sendHeaders({ ...ok, "content-length": String(CUT + 1) });
      await write(stream, bytesOf(CUT));
      // What was written goes out with the next packets; a reset would overtake it.
      setTimeout(() => stream.destroy(new QuicError("cut", { errorCode: H3_INTERNAL_ERROR })), 50);
      return;
    }
    stream.sendHeaders(ok);
    void stream.closed.then(
      () => this.#cancelled(name),
      () => this.#cancelled(name),
    );
    const part = new Uint8Array(PART);
    while (await write(stream, part));
  }

  /** @param asked the request's trailers; null: neither side sends any. */
  async #echo(stream: QuicStream, asked: (() => Headers) | null): Promise<void> {
    const sum = new Sum();
    if (asked !== null) {
      stream.onwanttrailers = () =>
        void stream.sendTrailers({ "x-sum": sum.hex(), "x-asked": String(asked()["x-t"] ?? "") });
    }
    stream.sendHeaders({ ":status": "200" });
    for await (const batch of stream) {
      for (const chunk of batch) {
        sum.add(chunk);
        await write(stream, chunk);
      }
    }
    end(stream);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#endpoint.destroy();
    await this.#endpoint.closed.catch(() => {});
  }
}

/** One request on a connection of its own. */
export async function askQuic(port: number, asked: Ask, host = "127.0.0.1"): Promise<Answer> {
  const session = await connect(`${host}:${port}`, {
    alpn: "h3",
    servername: "localhost",
    verifyPeer: "manual",
    endpoint: { address: "0.0.0.0:0" }, // its default reaches this machine only
    onerror: () => {},
  });
  await session.opened;
  try {
    return await askOn(session, asked);
  } finally {
    session.destroy();
  }
}

async function askOn(
  session: QuicSession,
  { method, path, bytes, trailers, cancelAfter }: Ask,
): Promise<Answer> {
  const answer: Answer = { ...EMPTY, informational: [], trailers: {} };
  const sum = new Sum();
  const stream = await session.createBidirectionalStream({
    oninfo: (headers) => void answer.informational.push(Number(headers[":status"])),
    onheaders: (headers) => {
      answer.status = Number(headers[":status"]);
      answer.length = String(headers["content-length"] ?? "");
    },
    ontrailers: (all) => void Object.assign(answer.trailers, all),
  });
  const closed = stream.closed.then(
    () => true,
    () => false,
  );
  const terminal = bytes === 0 && !trailers;
  if (trailers) stream.onwanttrailers = () => void stream.sendTrailers({ "x-t": "asked" });
  stream.sendHeaders(
    {
      ":method": method,
      ":scheme": "https",
      ":authority": "localhost",
      ":path": path,
      te: "trailers",
    },
    { terminal },
  );
  const sending = terminal ? null : send(stream, bytes);
  try {
    for await (const batch of stream) {
      for (const chunk of batch) sum.add(chunk);
      if (cancelAfter < 0 || sum.bytes < cancelAfter) continue;
      stream.destroy(new QuicError("enough", { errorCode: H3_REQUEST_CANCELLED }));
      break;
    }
    await sending;
    answer.whole = cancelAfter < 0 && (await closed);
  } catch {
    // The stream was broken off.
  }
  return { ...answer, bytes: sum.bytes, sha256: sum.hex() };
}

async function send(stream: QuicStream, bytes: number): Promise<void> {
  const body = bytesOf(bytes);
  for (let at = 0; at < bytes; at += PART) await write(stream, body.subarray(at, at + PART));
  end(stream);
}
