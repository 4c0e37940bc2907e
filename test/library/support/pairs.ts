// Relayed pairs for the library's tests: a client on node:net, the library's accepted connection, the library's dialled one,
// and a server on node:net behind it. So both peers of a relay are code that the library does not share.

import type { Conn } from "../../../src/library/conn.ts";
import { dial } from "../../../src/library/dial.ts";
import { listen } from "../../../src/library/listen.ts";
import type { ConnSettings } from "../../../src/library/settings.ts";
import { Wire, type WireAddress, WireServer } from "../../support/wire.ts";

export interface Ends {
  /** The client's socket. */
  readonly client: Wire;
  /** The server's socket. */
  readonly server: Wire;
  /** The connection with the client. */
  readonly a: Conn;
  /** The connection with the server. */
  readonly b: Conn;
}

/** A connected client and server with both of the library's connections between them, on TCP or on unix sockets. */
export async function makeEnds(
  settings: ConnSettings = {},
  at: { listen: string; server?: { path: string } } = { listen: "127.0.0.1:0" },
): Promise<Ends & AsyncDisposable> {
  const backend = await WireServer.listen(undefined, at.server ?? { host: "127.0.0.1" });
  const listener = await listen(at.listen, settings);
  const client = await Wire.connect(wireAddress(listener.addr));
  const a = await listener.accept();
  if (a === null) throw new Error("the listener is closed");
  const b = await dial(backend.target, settings);
  const server = await backend.accept();
  await listener.close();
  return {
    client,
    server,
    a,
    b,
    async [Symbol.asyncDispose]() {
      a.reset();
      b.reset();
      client.destroy();
      await backend[Symbol.asyncDispose]();
    },
  };
}

/** A connected pair: the library's end and a node:net socket. */
export async function makeConn(
  settings: ConnSettings = {},
): Promise<{ conn: Conn; peer: Wire } & AsyncDisposable> {
  const listener = await listen("127.0.0.1:0", settings);
  const peer = await Wire.connect(wireAddress(listener.addr));
  const conn = await listener.accept();
  if (conn === null) throw new Error("the listener is closed");
  await listener.close();
  return {
    conn,
    peer,
    async [Symbol.asyncDispose]() {
      conn.reset();
      peer.destroy();
    },
  };
}

export function wireAddress(addr: { path: string; host: string; port: number }): WireAddress {
  if (addr.path !== "") return { path: addr.path };
  return { host: addr.host === "::" ? "127.0.0.1" : addr.host, port: addr.port };
}

/** The error that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    (value) => {
      throw new Error(`resolved with ${String(value)}`);
    },
    (error) => error as Error & { code?: string },
  );
}
