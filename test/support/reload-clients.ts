// Clients of every kind of listener, which ask `?` and are answered with the name of the target that they reached. Called by the
// property of the reload, which opens some for a look and keeps others for as long as it goes on.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from "node:http2";
import { connect as connectTls, type TLSSocket } from "node:tls";

import * as C from "../../src/protocols/http/h3/constants.ts";
import { hello, sni } from "../l4/tls/hellos.ts";
import { frame, section } from "../protocols/http/h3/frames.ts";
import type { Recorder } from "../protocols/wire/recorder.ts";
import { QuicPeer, TRANSPORT } from "./quic-relay.ts";
import { Datagrams } from "./udp.ts";
import { until, within } from "./until.ts";
import { Wire, type WireAddress } from "./wire.ts";

/** A connection, a stream or a session that stays. */
export interface Talk {
  /** @returns the name of its target. @throws Error if it was cut off. */
  ask(): Promise<string>;
  end(): void;
}

export type Kind =
  "tcp" | "routed" | "link" | "unix" | "http" | "tls" | "http2" | "udp" | "quic" | "http3";

/** The server name that a route of `routed` is for, and the path that one of HTTP is for. */
export const ROUTED = "r.example";
export const PATH = "/r";

/** RFC 6455 section 5.2: a text frame of one byte, masked with zeros. It comes back without its mask. */
const FRAME = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x3f]);
const ANSWER_BYTES = 3;

export interface Place {
  readonly host: string;
  readonly port: number;
  /** Of `unix`. */
  readonly path: string;
  readonly ca: string;
}

/** @throws Error of whoever does not let it in. */
export function talkTo(kind: Kind, place: Place): Promise<Talk> {
  switch (kind) {
    case "unix":
      return talkOnWire({ path: place.path }, "?");
    case "tcp":
    case "link":
      return talkOnWire(tcp(place), "?");
    case "routed":
      return talkOnWire(tcp(place), hello([sni(ROUTED)]));
    case "http":
      return talkOnWebSocket(place);
    case "tls":
      return talkOverTls(place);
    case "http2":
      return talkOverHttp2(place);
    case "udp":
      return talkOverUdp(place);
    case "quic":
      return talkOverQuic(place);
    default:
      return talkOverHttp3(place);
  }
}

/** Without the path, which would be preferred. */
const tcp = ({ host, port }: Place): WireAddress => ({ host, port });

/** Everything that a listener of this kind answers, by its routes. @throws Error of whoever does not let it in. */
export async function answersOf(kind: Kind, place: Place): Promise<string> {
  if (kind === "http") return `${await get(place, "/")} ${await get(place, PATH)}`;
  if (kind === "http2") return getOverHttp2(place);
  if (kind === "http3") return getOverHttp3(place);
  const plain = await once(kind === "routed" ? talkOnWire(tcp(place), "?") : talkTo(kind, place));
  return kind === "routed" ? `${plain} ${await once(talkTo(kind, place))}` : plain;
}

async function once(opening: Promise<Talk>): Promise<string> {
  const talk = await opening;
  try {
    return await talk.ask();
  } finally {
    talk.end();
  }
}

async function talkOnWire(address: WireAddress, first: string | Uint8Array): Promise<Talk> {
  const wire = await Wire.connect(address);
  await wire.write(first);
  const reached = within("the first answer", wire.readBytes(1));
  await reached.catch((error: unknown) => {
    wire.reset();
    throw error;
  });
  return {
    ask: async () => {
      await wire.write("?");
      return within("an answer", wire.readBytes(1));
    },
    end: () => wire.reset(),
  };
}

async function get(place: Place, path: string): Promise<string> {
  const wire = await Wire.connect(tcp(place));
  await wire.write(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  const heard = await within("an answer of HTTP", wire.readAll());
  wire.reset();
  if (heard === "") throw new Error("closed without an answer");
  return heard.slice(-1);
}

async function talkOnWebSocket(place: Place): Promise<Talk> {
  const wire = await Wire.connect(tcp(place));
  const lines = ["host: a", "connection: upgrade", "upgrade: websocket"];
  const key = ["sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
  await wire.write(`GET / HTTP/1.1\r\n${[...lines, ...key].join("\r\n")}\r\n\r\n`);
  let heard = "";
  wire.onData((chunk) => (heard += chunk.toString("latin1")));
  await until("the upgrade", () => heard.includes("\r\n\r\n"));
  heard = heard.slice(heard.indexOf("\r\n\r\n") + 4);
  let wanted = 0;
  let over = false;
  void wire.ending.then(() => (over = true));
  return {
    ask: async () => {
      wanted += ANSWER_BYTES;
      await wire.write(FRAME);
      await until("an answer by WebSocket", () => heard.length >= wanted || over);
      if (heard.length < wanted) throw new Error("cut off");
      return heard.at(-1)!;
    },
    end: () => wire.reset(),
  };
}

async function talkOverTls({ host, port, ca }: Place): Promise<Talk> {
  const socket: TLSSocket = connectTls({ host, port, ca, servername: "a.example" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let heard = "";
  let over = false;
  socket.on("data", (bytes) => (heard += bytes.toString()));
  socket.once("secureConnect", resolve).on("error", reject);
  socket.once("close", () => {
    over = true;
    reject(new Error("closed in the handshake"));
  });
  await within("the handshake", promise);
  const ask = async (): Promise<string> => {
    const before = heard.length;
    socket.write("?");
    await until("an answer over TLS", () => heard.length > before || over);
    if (heard.length === before) throw new Error("cut off");
    return heard.at(-1)!;
  };
  await ask(); // a client that is denied is so after the handshake
  return { ask, end: () => void socket.destroy() };
}

async function openHttp2({ host, port, ca }: Place): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://${host}:${port}`, { ca, servername: "a.example" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  session.once("remoteSettings", () => resolve()).on("error", reject);
  session.once("close", () => reject(new Error("closed")));
  await within("HTTP/2", promise);
  return session;
}

async function getOverHttp2(place: Place): Promise<string> {
  const session = await openHttp2(place);
  const ask = (path: string): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const stream = session.request({ ":path": path, ":authority": "a.example" });
    let heard = "";
    stream.on("data", (bytes: Buffer) => (heard += bytes.toString()));
    stream.once("end", () => resolve(heard)).on("error", reject);
    return within("an answer over HTTP/2", promise);
  };
  const answers = `${await ask("/")} ${await ask(PATH)}`;
  session.destroy();
  return answers;
}

async function talkOverHttp2(place: Place): Promise<Talk> {
  const session = await openHttp2(place);
  const stream: ClientHttp2Stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": "/",
    ":scheme": "https",
    ":authority": "a.example",
    "sec-websocket-version": "13",
  });
  let heard = "";
  let wanted = 0;
  stream.on("data", (bytes: Buffer) => (heard += bytes.toString("latin1")));
  let over = false;
  stream.on("error", () => {}); // it is over, then
  stream.once("close", () => (over = true));
  return {
    ask: async () => {
      wanted += ANSWER_BYTES;
      stream.write(FRAME);
      await until("an answer over HTTP/2", () => heard.length >= wanted || over);
      if (heard.length < wanted) throw new Error("cut off");
      return heard.at(-1)!;
    },
    end: () => void session.destroy(),
  };
}

let udpClients = 0;

/** From an address of its own: one that gets the port of another that is gone would go on with its session. */
async function talkOverUdp(place: Place): Promise<Talk> {
  udpClients++;
  const client = await Datagrams.open(`127.250.${udpClients >> 8}.${udpClients & 255}`);
  let asked = 0;
  return {
    ask: async () => {
      const { data } = await client.ask(String(++asked), place);
      const [number, name] = data.toString().split(" ");
      if (number !== String(asked)) throw new Error(`${number} came, ${asked} was asked`);
      return name!;
    },
    end: () => void client[Symbol.asyncDispose](),
  };
}

async function talkOverQuic(place: Place): Promise<Talk> {
  const peer = await QuicPeer.connect(place.port, place.ca, { address: addressOf(place) });
  const { recorder } = peer.open();
  return {
    ask: async () => {
      const before = recorder.text.length;
      recorder.write(Buffer.from("?"));
      return heardFrom(recorder, before, 1);
    },
    end: () => peer.connection.close(0, ""),
  };
}

const addressOf = ({ host, port }: Place) => ({ kind: "ip", host, port }) as const;

async function heardFrom(recorder: Recorder, before: number, bytes: number): Promise<string> {
  const isThere = (): boolean => recorder.text.length >= before + bytes;
  await until("an answer over QUIC", () => isThere() || recorder.isClosed);
  if (!isThere()) throw new Error("cut off");
  return recorder.text.at(-1)!;
}

function openHttp3(place: Place): Promise<QuicPeer> {
  return QuicPeer.connect(place.port, place.ca, {
    address: addressOf(place),
    alpn: ["h3"],
    transport: { ...TRANSPORT, unidirectionalStreams: 3 },
  });
}

const headOf = (entries: readonly (readonly [string, string])[]): Uint8Array =>
  frame(C.HEADERS, section([...entries, [":scheme", "https"], [":authority", "a.example"]]));

/** The body is a DATA frame of one byte, before a frame of a reserved type (RFC 9114 section 7.2.8). */
async function getOverHttp3(place: Place): Promise<string> {
  const peer = await openHttp3(place);
  const ask = async (path: string): Promise<string> => {
    const { recorder } = peer.open();
    recorder.write(
      headOf([
        [":method", "GET"],
        [":path", path],
      ]),
    );
    recorder.end();
    await within("an answer over HTTP/3", recorder.ended);
    const [, body] = /\0\u0001([a-z])/.exec(recorder.text) ?? [];
    if (body === undefined) throw new Error("no answer");
    return body;
  };
  const answers = `${await ask("/")} ${await ask(PATH)}`;
  peer.connection.close(0, "");
  return answers;
}

async function talkOverHttp3(place: Place): Promise<Talk> {
  const peer = await openHttp3(place);
  const { recorder } = peer.open();
  recorder.write(
    headOf([
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":path", "/"],
      ["sec-websocket-version", "13"],
    ]),
  );
  await heardFrom(recorder, 0, 1);
  const data = frame(C.DATA, FRAME);
  return {
    ask: async () => {
      const before = recorder.text.length;
      recorder.write(data);
      return heardFrom(recorder, before, data.length - FRAME.length + ANSWER_BYTES);
    },
    end: () => peer.connection.close(0, ""),
  };
}
