// WebSocket as a client sees it, as far as ping-pong takes it (RFC 6455): an upgrade, and messages of one short frame. The
// masking key is zero, which leaves the payload as it is: nothing here is to be hidden from a cache. Called by pingpong.ts.

import { recvAll, sendAll } from "./libc.ts";
import type { Messages } from "./pingpong.ts";

const SHORT_MAX = 125;
const BINARY_FIN = 0x82;
const MASKED = 0x80;
const CLIENT_HEAD = 6;
const SERVER_HEAD = 2;

/** A frame whose payload begins at a multiple of four bytes, so that its number can be read as one. */
function frame(head: number, bytes: number): { frame: Uint8Array; number: Uint32Array } {
  const padding = (4 - (head % 4)) % 4;
  const memory = new ArrayBuffer(padding + head + bytes);
  return {
    frame: new Uint8Array(memory, padding),
    number: new Uint32Array(memory, padding + head, 1),
  };
}

export function frames(bytes: number): Messages {
  if (bytes > SHORT_MAX) throw new RangeError(`a message has at most ${SHORT_MAX} bytes here`);
  const out = frame(CLIENT_HEAD, bytes);
  const back = frame(SERVER_HEAD, bytes);
  out.frame[0] = BINARY_FIN;
  out.frame[1] = MASKED | bytes;
  return { message: out.frame, sequence: out.number, buffer: back.frame, echoed: back.number };
}

/** @param fd blocking. @throws if the server does not switch. */
export function upgrade(fd: number, port: number): void {
  const lines = [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  sendAll(fd, Buffer.from(`${lines.join("\r\n")}\r\n\r\n`));
  // Byte by byte: what comes behind the head is a frame already.
  const byte = new Uint8Array(1);
  let head = "";
  while (!head.endsWith("\r\n\r\n")) {
    recvAll(fd, byte);
    head += String.fromCharCode(byte[0]!);
  }
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(`no WebSocket: ${head}`);
}
