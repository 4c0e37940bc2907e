// Length-prefixed messages, which gRPC and gRPC-Web have in common, and the frame in which gRPC-Web sends what gRPC has in its
// trailers (PROTOCOL-WEB.md of the gRPC project). Pure; the streams of stream.ts call it.
//
//   │ flags │ length, 4 bytes │ message │          flags: 0x01 compressed, 0x80 trailers as lines `name:value` CR LF

import type { Fields } from "../../message/fields.ts";
import { REMOVED } from "../../message/fields.ts";
import { lower } from "../../message/names.ts";

const HEADER_BYTES = 5;
const TRAILERS = 0x80;

/** Knows where messages end, however their bytes come. */
export class MessageBounds {
  #headerBytes = 0;
  #length = 0;
  #left = 0;

  /** These follow those before. @returns whether a message ends with the last of them. */
  passes(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, bytes.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      const byte = bytes[at++]!;
      if (this.#headerBytes > 0) this.#length = this.#length * 256 + byte;
      if (++this.#headerBytes < HEADER_BYTES) continue;
      this.#left = this.#length;
      this.#headerBytes = this.#length = 0;
    }
    return this.#left === 0 && this.#headerBytes === 0;
  }
}

/** Names in lower case, values as they are: grpc-message stays percent-encoded. */
export function trailersFrame(trailers: Fields): Uint8Array {
  const { arena, ranges, ids, count } = trailers;
  let length = 0;
  for (let i = 0; i < count; i++) {
    if (ids[i] === REMOVED) continue;
    const at = i * 4;
    length += ranges[at + 1]! - ranges[at]! + (ranges[at + 3]! - ranges[at + 2]!) + 3;
  }
  const frame = new Uint8Array(HEADER_BYTES + length);
  frame[0] = TRAILERS;
  new DataView(frame.buffer).setUint32(1, length);
  let to = HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    if (ids[i] === REMOVED) continue;
    const at = i * 4;
    for (let from = ranges[at]!; from < ranges[at + 1]!; from++) frame[to++] = lower(arena[from]!);
    frame[to++] = 0x3a;
    for (let from = ranges[at + 2]!; from < ranges[at + 3]!; from++) frame[to++] = arena[from]!;
    frame[to++] = 0x0d;
    frame[to++] = 0x0a;
  }
  return frame;
}
