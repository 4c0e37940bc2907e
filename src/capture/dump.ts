// A capture as people read it on a terminal: a line for each event, with a chunk's text or its hex dump. Nothing that came from
// a connection reaches the terminal but printable characters. Called by commands/capture.ts.
//
//   12:00:00.000 #1 -> 78 B
//     GET / HTTP/1.1\r\n

import type { Clock, Format, Trace, Visit, Way } from "./trace.ts";

type Paint = (text: string) => string;

export interface DumpOptions {
  /** Offset, hex and ASCII instead of text. */
  readonly hex: boolean;
  /** The most that is shown of a chunk; 0: all. */
  readonly maxBytes: number;
  readonly paint: { readonly dim: Paint; readonly green: Paint; readonly cyan: Paint };
  readonly clock: Clock;
}

const HEX_COLUMNS = 16;
const ESCAPES: Readonly<Record<string, string>> = {
  "\r": "\\r",
  "\n": "\\n",
  "\t": "\\t",
  "\\": "\\\\",
};
/** Letters, marks, digits, punctuation, symbols and spaces: no control character and nothing that turns text around. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]$/u;

export function dumpFormat(options: DumpOptions): Format {
  return { head: new Uint8Array(0), trace: (visit) => new DumpTrace(visit, options) };
}

class DumpTrace implements Trace {
  readonly #visit: Visit;
  readonly #options: DumpOptions;
  readonly #openedAt: bigint;
  readonly #bytes = { up: 0, down: 0 };
  #over = false;

  constructor(visit: Visit, options: DumpOptions) {
    this.#visit = visit;
    this.#options = options;
    this.#openedAt = options.clock();
  }

  opened(): Uint8Array {
    const { client, proxy } = this.#visit;
    return this.#line(client.network === "unix" ? `opened on ${proxy}` : `opened by ${client}`);
  }

  connected(target: string): Uint8Array {
    return this.#line(`connected to ${target} after ${this.#age()}`);
  }

  data(way: Way, chunk: Uint8Array): Uint8Array {
    if (this.#over || chunk.length === 0) return new Uint8Array(0);
    const { hex, maxBytes, paint } = this.#options;
    const shown = maxBytes === 0 ? chunk : chunk.subarray(0, maxBytes);
    const lines = hex ? hexLines(shown, this.#bytes[way]) : textLines(shown);
    this.#bytes[way] += chunk.length;
    const more = chunk.length - shown.length;
    if (more > 0) lines.push(paint.dim(`... and ${count(more)} more (-max-bytes 0 shows all)`));
    const head = `${this.#arrow(way)} ${count(chunk.length)}`;
    // One line of text has room beside its length.
    if (!hex && lines.length === 1) return this.#line(`${head}  ${lines[0]}`);
    return this.#line([head, ...lines].join("\n  "));
  }

  delivered(): Uint8Array {
    return new Uint8Array(0);
  }

  ended(way: Way): Uint8Array {
    return this.#over ? new Uint8Array(0) : this.#line(`${this.#arrow(way)} FIN`);
  }

  reset(way: Way, reason: string): Uint8Array {
    if (this.#over) return new Uint8Array(0);
    this.#over = true;
    return this.#line(`${this.#arrow(way)} RST  ${escapeText(Buffer.from(reason))}`);
  }

  closed(): Uint8Array {
    const { up, down } = this.#bytes;
    return this.#line(`closed after ${this.#age()}, ${count(up)} up, ${count(down)} down`);
  }

  #line(text: string): Uint8Array {
    const { paint, clock } = this.#options;
    return Buffer.from(`${paint.dim(timeOfDay(clock()))} #${this.#visit.number} ${text}\n`);
  }

  #arrow(way: Way): string {
    const { green, cyan } = this.#options.paint;
    return way === "up" ? cyan("->") : green("<-");
  }

  #age(): string {
    return `${(Number(this.#options.clock() - this.#openedAt) / 1e6).toFixed(1)} ms`;
  }
}

function count(bytes: number): string {
  return `${bytes.toLocaleString("en-US")} B`;
}

/** `12:00:00.000`, of this machine's time zone. */
function timeOfDay(time: bigint): string {
  const date = new Date(Number(time / 1_000_000n));
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(
    (part) => String(part).padStart(2, "0"),
  );
  return `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** Broken after each line feed, which is shown as well. */
export function textLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const feed = bytes.indexOf(0x0a, at);
    const end = feed < 0 ? bytes.length : feed + 1;
    lines.push(escapeText(bytes.subarray(at, end)));
    at = end;
  }
  return lines;
}

/** Printable UTF-8 as it is; `\r`, `\n`, `\t`, `\\`; other characters as `\u{202e}`, bytes that are no UTF-8 as `\xff`. */
export function escapeText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const character = characterAt(bytes, at);
    if (character === null) text += `\\x${hexByte(bytes[at]!)}`;
    else text += escapeCharacter(character);
    at += character === null ? 1 : Buffer.byteLength(character);
  }
  return text;
}

function escapeCharacter(character: string): string {
  const escaped = ESCAPES[character];
  if (escaped !== undefined) return escaped;
  if (PRINTABLE.test(character)) return character;
  const code = character.codePointAt(0)!;
  return code < 0x80 ? `\\x${hexByte(code)}` : `\\u{${code.toString(16)}}`;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** RFC 3629 section 3. @returns null where no whole character begins. */
function characterAt(bytes: Uint8Array, at: number): string | null {
  const first = bytes[at]!;
  if (first < 0x80) return String.fromCharCode(first);
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return null;
  try {
    return UTF8.decode(bytes.subarray(at, at + length));
  } catch {
    return null;
  }
}

/** As `hexdump -C` writes them. @param offset of the first byte in its direction. */
export function hexLines(bytes: Uint8Array, offset: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_COLUMNS) {
    const row = bytes.subarray(at, at + HEX_COLUMNS);
    const half = (from: number): string =>
      [...row.subarray(from, from + HEX_COLUMNS / 2)].map(hexByte).join(" ").padEnd(23);
    const ascii = [...row].map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".",
    );
    const place = (offset + at).toString(16).padStart(8, "0");
    lines.push(`${place}  ${half(0)}  ${half(HEX_COLUMNS / 2)}  |${ascii.join("")}|`);
  }
  return lines;
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
