// What a terminal shows of a connection: nothing that could do something to the terminal, and nothing left out unsaid.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { dumpFormat, type DumpOptions, escapeText, hexLines } from "../../src/capture/dump.ts";
import type { Visit } from "../../src/capture/trace.ts";
import { ipAddr, unixAddr } from "../../src/library/addr.ts";

const VISIT: Visit = {
  number: 7,
  client: ipAddr("127.0.0.1", 50_000),
  proxy: ipAddr("127.0.0.1", 8080),
  target: "127.0.0.1:80",
};
const plain = (text: string): string => text;

function traceOf(options: Partial<DumpOptions> = {}, visit: Partial<Visit> = {}) {
  const { trace } = dumpFormat({
    hex: false,
    maxBytes: 0,
    paint: { dim: plain, green: plain, cyan: plain },
    clock: () => BigInt(new Date(2026, 0, 2, 3, 4, 5, 6).getTime()) * 1_000_000n,
    ...options,
  });
  return trace({ ...VISIT, ...visit });
}

const text = (...parts: Uint8Array[]): string => Buffer.concat(parts).toString();

test("each event is a line with time, number and direction; text has its lines", () => {
  const trace = traceOf();
  expect(
    text(
      trace.opened(),
      trace.connected("127.0.0.1:80"),
      trace.data("up", Buffer.from("PING\r\n")),
      trace.data("down", Buffer.from("HTTP/1.1 200 OK\r\n\r\nbody")),
      trace.delivered(),
      trace.ended("up"),
      trace.reset("down", "the target\nbroke it off"),
      trace.ended("down"),
      trace.closed(),
    ),
  ).toBe(String.raw`03:04:05.006 #7 opened by 127.0.0.1:50000
03:04:05.006 #7 connected to 127.0.0.1:80 after 0.0 ms
03:04:05.006 #7 -> 6 B  PING\r\n
03:04:05.006 #7 <- 23 B
  HTTP/1.1 200 OK\r\n
  \r\n
  body
03:04:05.006 #7 -> FIN
03:04:05.006 #7 <- RST  the target\nbroke it off
03:04:05.006 #7 closed after 0.0 ms, 6 B up, 23 B down
`);
});

test("the client of a unix socket has no address", () => {
  const unix = unixAddr("/run/a.sock");
  expect(text(traceOf({}, { client: unix, proxy: unix }).opened())).toEndWith(
    " #7 opened on unix:/run/a.sock\n",
  );
});

test("-hex: offsets go on over the chunks of a direction", () => {
  const trace = traceOf({ hex: true });
  const all = Uint8Array.from({ length: 20 }, (_, i) => i * 13);
  expect(text(trace.data("up", all), trace.data("up", Buffer.from("hi")))).toBe(
    `03:04:05.006 #7 -> 20 B
  00000000  00 0d 1a 27 34 41 4e 5b  68 75 82 8f 9c a9 b6 c3  |...'4AN[hu......|
  00000010  d0 dd ea f7                                       |....|
03:04:05.006 #7 -> 2 B
  00000014  68 69                                             |hi|
`,
  );
  expect(text(trace.data("down", Buffer.from("x")))).toContain("  00000000  78 ");
});

test("what is cut off is said, with the flag that shows it", () => {
  const trace = traceOf({ maxBytes: 4 });
  expect(text(trace.data("up", Buffer.alloc(1_500, "a")))).toBe(
    "03:04:05.006 #7 -> 1,500 B\n  aaaa\n  ... and 1,496 B more (-max-bytes 0 shows all)\n",
  );
  expect(text(trace.data("up", Buffer.from("abcd")))).toEndWith("4 B  abcd\n");
  // Offsets count what was not shown.
  const hex = traceOf({ maxBytes: 1, hex: true });
  hex.data("up", Buffer.alloc(0x1234));
  expect(text(hex.data("up", Buffer.from("z")))).toContain("  00001234  7a ");
});

test("directions and asides are painted, and nothing else", () => {
  const paint = (name: string) => (words: string) => `<${name}>${words}</${name}>`;
  const paints = { dim: paint("dim"), green: paint("green"), cyan: paint("cyan") };
  const trace = traceOf({ paint: paints });
  expect(text(trace.data("up", Buffer.from("a")), trace.data("down", Buffer.from("b")))).toBe(
    "<dim>03:04:05.006</dim> #7 <cyan>-></cyan> 1 B  a\n<dim>03:04:05.006</dim> #7 <green><-</green> 1 B  b\n",
  );
});

describe("text is escaped", () => {
  test.each([
    ["\x1b[31mred\x07", String.raw`\x1b[31mred\x07`],
    ["tab\tback\\slash", String.raw`tab\tback\\slash`],
    ["Grüße, 世界 🙂", "Grüße, 世界 🙂"],
    ["right\u202eleft\u2028\ufeff\x85", String.raw`right\u{202e}left\u{2028}\u{feff}\u{85}`],
  ])("%j", (written, shown) => expect(escapeText(Buffer.from(written))).toBe(shown));

  test.each([
    ["ff fe", String.raw`\xff\xfe`],
    ["c3 28", String.raw`\xc3(`],
    ["61 e2 82", String.raw`a\xe2\x82`], // the rest of the euro sign is in another chunk
    ["c0 80", String.raw`\xc0\x80`], // longer than it may be
    ["ed a0 80", String.raw`\xed\xa0\x80`], // half of a surrogate pair
    ["f5 80 80 80", String.raw`\xf5\x80\x80\x80`],
  ])("bytes %s are no text", (bytes, shown) =>
    expect(escapeText(Buffer.from(bytes.replaceAll(" ", ""), "hex"))).toBe(shown),
  );

  test("whatever comes, nothing but printable characters is shown, and it can be read back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const shown = escapeText(bytes);
        expect(shown).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]*$/u);
        expect(unescape(shown).equals(bytes)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

const LETTERS: Record<string, string> = { r: "\r", n: "\n", t: "\t", "\\": "\\" };

function unescape(shown: string): Buffer {
  const parts = shown.match(/\\x..|\\u\{[0-9a-f]+\}|\\.|[^\\]+/gu) ?? [];
  const bytes = parts.map((part) => {
    if (part.startsWith("\\x")) return Buffer.from(part.slice(2), "hex");
    if (part.startsWith("\\u")) {
      return Buffer.from(String.fromCodePoint(Number.parseInt(part.slice(3, -1), 16)));
    }
    return Buffer.from(part.startsWith("\\") ? LETTERS[part[1]!]! : part);
  });
  return Buffer.concat(bytes);
}

test("a hex dump has all bytes in their order", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), (bytes, offset) => {
      const lines = hexLines(bytes, offset);
      expect(lines).toHaveLength(Math.ceil(bytes.length / 16));
      const read = lines.flatMap((line, i) => {
        const [, place, columns, ascii] = /^([0-9a-f]{8})  (.{48})  \|(.+)\|$/.exec(line)!;
        expect(Number.parseInt(place!, 16)).toBe(offset + 16 * i);
        expect(ascii!).toMatch(/^[ -~]{1,16}$/);
        return columns!.trim().split(/ +/);
      });
      expect(Buffer.from(read.join(""), "hex").equals(bytes)).toBe(true);
    }),
  );
});
