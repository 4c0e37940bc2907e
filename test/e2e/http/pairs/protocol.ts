// What clients and backends of pairs.test.ts say to each other, whatever version they speak. The last part of a path is what the
// backend does:
//
//   echo     sends the body back as it comes
//   trailers the same, and in trailers its checksum (x-sum) and what the request's trailers said (x-asked)
//   hints    103, and then 200 with what `hints` has
//   length   an answer of LENGTH bytes, with content-length
//   endless  bytes without end; told as `cancelled` when nobody wants them any more
//   cut      a head and CUT bytes, and then the stream or the connection is broken off

import { createHash, type Hash } from "node:crypto";

export const HINTS = "hinted\n";
export const LENGTH = 1_234;
export const CUT = 5_000;

export type ClientVersion = "h1" | "h2" | "h3";
export type BackendVersion = "h1" | "h2" | "h2c" | "h3";

export interface Ask {
  readonly method: string;
  readonly path: string;
  /** Of the body, made by `bytesOf`. */
  readonly bytes: number;
  readonly trailers: boolean;
  /** Breaks off when so many bytes of the answer came; -1: never. */
  readonly cancelAfter: number;
}

export interface Answer {
  status: number;
  /** Statuses of heads before it. */
  informational: number[];
  length: string;
  bytes: number;
  sha256: string;
  trailers: Record<string, string>;
  /** It came to its end in order. */
  whole: boolean;
}

export const EMPTY: Answer = {
  status: 0,
  informational: [],
  length: "",
  bytes: 0,
  sha256: "",
  trailers: {},
  whole: false,
};

export const PART = 16_384;

/** Bytes that depend on where they stand. */
export function bytesOf(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = (i * 31 + (i >> 8) * 7) & 0xff;
  return bytes;
}

export function sumOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Counts and sums what comes. */
export class Sum {
  bytes = 0;
  #hex: string | null = null;
  readonly #hash: Hash = createHash("sha256");

  add(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  }

  /** Nothing may be added afterwards. */
  hex(): string {
    return (this.#hex ??= this.#hash.digest("hex"));
  }
}
