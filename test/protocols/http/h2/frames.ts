// Frames in tests: written by hand, as a peer with its own ideas sends them, and read back from what a session wrote.

import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { HpackDecoder } from "../../../../src/protocols/http/h2/hpack/decoder.ts";
import { HpackEncoder } from "../../../../src/protocols/http/h2/hpack/encoder.ts";
import { decode, encode, type Entry } from "./hpack/codec.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = NOTHING,
): Uint8Array {
  const { length } = payload;
  return Uint8Array.of(
    length >> 16,
    length >> 8,
    length,
    type,
    flags,
    ...uint32(stream),
    ...payload,
  );
}

export function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function data(stream: number, payload: Uint8Array | string, flags = 0): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  return frame(C.DATA, flags, stream, bytes);
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Uint8Array {
  const payload = pairs.flatMap(([id, value]) => [id >> 8, id & 0xff, ...uint32(value)]);
  return frame(C.SETTINGS, 0, 0, Uint8Array.from(payload));
}

export const SETTINGS_ACK = frame(C.SETTINGS, C.ACK, 0);

export function ping(text = "12345678", flags = 0): Uint8Array {
  return frame(C.PING, flags, 0, new TextEncoder().encode(text));
}

export function reset(stream: number, code: number = C.CANCEL): Uint8Array {
  return frame(C.RST_STREAM, 0, stream, Uint8Array.from(uint32(code)));
}

export function windowUpdate(stream: number, increment: number): Uint8Array {
  return frame(C.WINDOW_UPDATE, 0, stream, Uint8Array.from(uint32(increment)));
}

export function goAway(last: number, code: number = C.NO_ERROR): Uint8Array {
  return frame(C.GOAWAY, 0, 0, Uint8Array.from([...uint32(last), ...uint32(code)]));
}

/** What one frame or one section became. */
export type Said =
  | {
      readonly kind: "headers";
      readonly stream: number;
      readonly end: boolean;
      readonly entries: readonly Entry[];
    }
  | {
      readonly kind: "data";
      readonly stream: number;
      readonly end: boolean;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "reset"; readonly stream: number; readonly code: number }
  | { readonly kind: "goaway"; readonly last: number; readonly code: number; readonly text: string }
  | { readonly kind: "window"; readonly stream: number; readonly increment: number }
  | {
      readonly kind: "settings";
      readonly ack: boolean;
      readonly pairs: readonly [number, number][];
    }
  | { readonly kind: "ping"; readonly ack: boolean; readonly text: string };

/** One end of a connection that tests play: its HPACK tables both ways. */
export class Peer {
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(1 << 24, 10_000);
  #rest: Uint8Array = NOTHING;
  #block: { stream: number; flags: number; bytes: Uint8Array } | null = null;

  block(entries: readonly Entry[]): Uint8Array {
    return encode(this.#encoder, entries);
  }

  headers(stream: number, entries: readonly Entry[], flags: number = C.END_STREAM): Uint8Array {
    return frame(C.HEADERS, flags | C.END_HEADERS, stream, this.block(entries));
  }

  /** Reads what a session wrote, whatever it is split into. */
  read(bytes: Uint8Array): Said[] {
    const said: Said[] = [];
    this.#rest = join(this.#rest, bytes);
    while (this.#rest.length >= 9) {
      const view = new DataView(this.#rest.buffer, this.#rest.byteOffset);
      const length = view.getUint32(0) >>> 8;
      if (this.#rest.length < 9 + length) break;
      const each = {
        type: this.#rest[3]!,
        flags: this.#rest[4]!,
        stream: view.getUint32(5),
        payload: this.#rest.slice(9, 9 + length),
      };
      this.#rest = this.#rest.slice(9 + length);
      const what = this.#say(each);
      if (what !== null) said.push(what);
    }
    return said;
  }

  #say({ type, flags, stream, payload }: Frame): Said | null {
    const view = new DataView(payload.buffer);
    const ack = (flags & C.ACK) !== 0;
    switch (type) {
      case C.HEADERS:
        this.#block = { stream, flags, bytes: payload };
        return (flags & C.END_HEADERS) !== 0 ? this.#section() : null;
      case C.CONTINUATION:
        this.#block!.bytes = join(this.#block!.bytes, payload);
        return (flags & C.END_HEADERS) !== 0 ? this.#section() : null;
      case C.DATA:
        return { kind: "data", stream, end: (flags & C.END_STREAM) !== 0, bytes: payload };
      case C.RST_STREAM:
        return { kind: "reset", stream, code: view.getUint32(0) };
      case C.GOAWAY: {
        const text = new TextDecoder().decode(payload.subarray(8));
        return { kind: "goaway", last: view.getUint32(0), code: view.getUint32(4), text };
      }
      case C.WINDOW_UPDATE:
        return { kind: "window", stream, increment: view.getUint32(0) };
      case C.SETTINGS: {
        const pairs: [number, number][] = [];
        for (let at = 0; at < payload.length; at += 6)
          pairs.push([view.getUint16(at), view.getUint32(at + 2)]);
        return { kind: "settings", ack, pairs };
      }
      case C.PING:
        return { kind: "ping", ack, text: new TextDecoder().decode(payload) };
      default:
        throw new Error(`frame type ${type}`);
    }
  }

  #section(): Said {
    const { stream, flags, bytes } = this.#block!;
    this.#block = null;
    const { outcome, entries } = decode(this.#decoder, bytes);
    if (outcome !== 0) throw new Error(`a block with outcome ${outcome}`);
    return { kind: "headers", stream, end: (flags & C.END_STREAM) !== 0, entries };
  }
}

export const GET: readonly Entry[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a.example"],
];
export const POST: readonly Entry[] = [[":method", "POST"], ...GET.slice(1)];
