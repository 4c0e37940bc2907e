// PROXY protocol headers that clients send: the examples of the specification, what it forbids, and that no bytes, however
// they are cut, make the parser throw or change its mind.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { crc32c } from "../../../src/l4/proxy/crc32c.ts";
import type { ProxyHeader, ProxyOutcome } from "../../../src/l4/proxy/header.ts";
import { parseProxyHeader, type ProxyMode } from "../../../src/l4/proxy/parse.ts";
import { formatIp } from "../../../src/shared/ip.ts";
import { ascii, IPV4_BODY, SIGNATURE, v2, vector } from "./headers.ts";

const MODES: readonly ProxyMode[] = ["v1", "v2", "any"];

function parse(bytes: Uint8Array, mode: ProxyMode = "any"): ProxyOutcome {
  return parseProxyHeader(bytes, mode);
}

/** The header that these bytes are, all of them. */
function header(bytes: Uint8Array): ProxyHeader {
  const outcome = parse(bytes);
  if (outcome.type !== "header") throw new Error(JSON.stringify(outcome));
  expect(outcome.length).toBe(bytes.length);
  return outcome.header;
}

function reason(bytes: Uint8Array, mode: ProxyMode = "any"): string {
  const outcome = parse(bytes, mode);
  return outcome.type === "invalid" ? outcome.reason : outcome.type;
}

/** `192.0.2.1:56324 192.0.2.2:443` */
function endpoints({ endpoints: said }: ProxyHeader): string | null {
  if (said === null) return null;
  return [said.source, said.destination]
    .map((end) => (end.kind === "unix" ? end.path : `${formatIp(end.ip)} ${end.port}`))
    .join(" ");
}

describe("version 1", () => {
  test.each([
    ["TCP4 192.0.2.1 192.0.2.2 56324 443", "192.0.2.1 56324 192.0.2.2 443"],
    ["TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255 65535 ".repeat(2).trim()],
    ["TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0 0 0.0.0.0 0"],
    ["TCP6 2001:db8::1 ::1 1 2", "2001:db8::1 1 ::1 2"],
    ["TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2", "2001:db8::1 1 ::1 2"],
    ["TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2", "192.0.2.1 1 192.0.2.2 2"],
    ["UNKNOWN", null],
    ["UNKNOWN anything at all, \xff too", null],
  ])("%s", (line, expected) => {
    const said = header(ascii(`PROXY ${line}\r\n`));
    expect([said.version, said.command, endpoints(said)]).toEqual([1, "PROXY", expected]);
  });

  test.each([
    "TCP4 192.0.2.1 192.0.2.2 56324",
    "TCP4 192.0.2.1 192.0.2.2 56324 443 ",
    "TCP4 192.0.2.1 192.0.2.2 56324 443 1",
    "TCP4  192.0.2.1 192.0.2.2 56324 443",
    "TCP4 192.0.2.1\t192.0.2.2 56324 443",
    "TCP4 192.0.2.01 192.0.2.2 56324 443",
    "TCP4 192.0.2.256 192.0.2.2 56324 443",
    "TCP4 192.0.2 192.0.2.2 56324 443",
    "TCP4 192.0.2.1 192.0.2.2 056324 443",
    "TCP4 192.0.2.1 192.0.2.2 65536 443",
    "TCP4 192.0.2.1 192.0.2.2 -1 443",
    "TCP4 192.0.2.1 192.0.2.2 0x10 443",
    "TCP4 ::1 ::1 1 2",
    "TCP6 192.0.2.1 192.0.2.2 1 2",
    "TCP6 fe80::1%eth0 ::1 1 2",
    "TCP6 ::1::2 ::1 1 2",
    "TCP6 [::1] ::1 1 2",
    "TCP5 192.0.2.1 192.0.2.2 1 2",
    "UDP4 192.0.2.1 192.0.2.2 1 2",
    "tcp4 192.0.2.1 192.0.2.2 1 2",
    "UNKNOWNS",
    "",
  ])("%p is invalid", (line) => {
    expect(parse(ascii(`PROXY ${line}\r\n`)).type).toBe("invalid");
  });

  test("a line ends with CR and LF, and with nothing else", () => {
    const line = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443";
    expect(reason(ascii(`${line}\n`))).toBe("its line ends without CR");
    expect(reason(ascii(`${line}\rX`))).toBe("its line has a CR that no LF follows");
    expect(reason(ascii(`PROXY UNKNOWN a\rb\r\n`))).toBe("its line has a CR that no LF follows");
    expect(reason(ascii(`${line}\r`))).toBe("more");
  });

  test("the longest line has 107 bytes, and a longer one is invalid as soon as that is known", () => {
    const longest = ascii(`PROXY UNKNOWN ${"f".repeat(107 - 16)}\r\n`);
    expect(longest.length).toBe(107);
    expect(header(longest).endpoints).toBeNull();
    expect(reason(longest.subarray(0, 106))).toBe("more");
    const endless = ascii(`PROXY UNKNOWN ${"f".repeat(200)}\r\n`);
    expect(reason(endless.subarray(0, 105))).toBe("more");
    expect(reason(endless.subarray(0, 106))).toBe("its line has more than 107 bytes");
    expect(reason(endless)).toBe("its line has more than 107 bytes");
  });
});

describe("version 2", () => {
  test("addresses of TCP over IPv4 and IPv6, mapped ones among them", () => {
    expect(endpoints(header(v2(1, 0x11, IPV4_BODY)))).toBe("192.0.2.1 56324 192.0.2.2 443");
    const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
    const six = [...mapped, 10, 0, 0, 1, 0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 2];
    expect(endpoints(header(v2(1, 0x21, [...six, 0, 1, 0, 2])))).toBe("10.0.0.1 1 2001:db8::2 2");
  });

  test("addresses of unix sockets", () => {
    const path = (text: string): number[] => [...ascii(text.padEnd(108, "\0"))];
    const full = "/".repeat(108);
    expect(endpoints(header(v2(1, 0x31, [...path("/run/a"), ...path(full)])))).toBe(
      `/run/a ${full}`,
    );
    expect(endpoints(header(v2(1, 0x31, [...path(""), ...path("/b")])))).toBe(" /b");
  });

  test("datagrams and what is not specified leave the socket's own addresses", () => {
    expect(header(v2(1, 0x12, IPV4_BODY))).toMatchObject({ command: "PROXY", endpoints: null });
    expect(header(v2(1, 0x00, []))).toMatchObject({ command: "PROXY", endpoints: null });
    expect(header(v2(1, 0x00, [1, 2, 3]))).toMatchObject({ command: "PROXY", endpoints: null });
  });

  test("all that follows LOCAL is skipped, whatever it is", () => {
    for (const bytes of [
      v2(0, 0, []),
      v2(0, 0x11, IPV4_BODY),
      v2(0, 0xff, [9, 9]),
      v2(0, 0x21, [1]),
    ])
      expect(header(bytes)).toMatchObject({ command: "LOCAL", endpoints: null, alpn: null });
  });

  test("vectors are read, and the unknown ones ignored", () => {
    const said = header(
      v2(1, 0x11, [
        ...IPV4_BODY,
        ...vector(0x04, [0, 0, 0]),
        ...vector(0x01, ascii("h2")),
        ...vector(0xe3, [1]),
        ...vector(0x02, Buffer.from("bücher.example")),
        ...vector(0x05, [1, 2, 3]),
        ...vector(0x20, [1, 0, 0, 0, 0]),
      ]),
    );
    expect(said.alpn).toEqual(ascii("h2"));
    expect(said.authority).toBe("bücher.example");
    expect(said.uniqueId).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("what is kept of a header does not change with the buffer that it came in", () => {
    const bytes = v2(1, 0x11, [...IPV4_BODY, ...vector(0x01, ascii("h2"))]);
    const said = header(bytes);
    bytes.fill(0);
    expect(endpoints(said)).toBe("192.0.2.1 56324 192.0.2.2 443");
    expect(said.alpn).toEqual(ascii("h2"));
  });

  test.each<[string, Uint8Array]>([
    ["its version is not 2", Uint8Array.from([...SIGNATURE, 0x11])],
    ["its command is neither LOCAL nor PROXY", v2(2, 0x11, IPV4_BODY)],
    ["its address family and transport do not go together", v2(1, 0x13, IPV4_BODY)],
    ["its address family and transport do not go together", v2(1, 0x41, IPV4_BODY)],
    ["its address family and transport do not go together", v2(1, 0x10, IPV4_BODY)],
    ["its address family and transport do not go together", v2(1, 0x01, [])],
    ["it is too short for its addresses", v2(1, 0x11, IPV4_BODY.slice(1))],
    ["it is too short for its addresses", v2(1, 0x21, IPV4_BODY)],
    ["its last vector is cut off", v2(1, 0x11, [...IPV4_BODY, 4])],
    ["its last vector is cut off", v2(1, 0x11, [...IPV4_BODY, 4, 0, 2, 0])],
    ["it has two ALPN vectors", v2(1, 0x11, [...IPV4_BODY, 1, 0, 0, 1, 0, 0])],
    ["it has two AUTHORITY vectors", v2(1, 0x11, [...IPV4_BODY, 2, 0, 0, 2, 0, 0])],
    ["it has two UNIQUE_ID vectors", v2(1, 0x11, [...IPV4_BODY, 5, 0, 0, 5, 0, 0])],
    ["its UNIQUE_ID is too long", v2(1, 0x11, [...IPV4_BODY, ...vector(5, new Uint8Array(129))])],
    ["its AUTHORITY is not UTF-8", v2(1, 0x11, [...IPV4_BODY, ...vector(2, [0xff])])],
    ["its checksum has not 4 bytes", v2(1, 0x11, [...IPV4_BODY, ...vector(3, [1, 2])])],
    ["its checksum is wrong", v2(1, 0x11, [...IPV4_BODY, ...vector(3, [1, 2, 3, 4])])],
  ])("%s", (expected, bytes) => expect(reason(bytes)).toBe(expected));

  test("a header is too long as soon as its length is known", () => {
    const long = v2(1, 0x11, [...IPV4_BODY, ...vector(0x04, new Uint8Array(536 - 16 - 12 - 3))]);
    expect(header(long).command).toBe("PROXY");
    const longer = v2(0, 0, new Array<number>(521).fill(0)).subarray(0, 16);
    expect(reason(longer)).toBe("it has 537 bytes, more than 536");
    expect(parseProxyHeader(longer, "v2", 1_000).type).toBe("more");
  });

  test("a checksum covers the header, with its own place taken as zeros", () => {
    const zeros = v2(1, 0x11, [...IPV4_BODY, ...vector(3, [0, 0, 0, 0])]);
    const sum = crc32c(zeros, 0, zeros.length);
    const right = Uint8Array.from(zeros);
    new DataView(right.buffer).setUint32(right.length - 4, sum);
    expect(header(right).endpoints).not.toBeNull();
    expect(parse(Uint8Array.from([...right, 1, 2, 3])).type).toBe("header");
    const vectorHead = right.length - 7; // another type or length there: no checksum, as far as anyone can tell
    for (let bit = 0; bit < right.length * 8; bit++) {
      const at = bit >>> 3;
      if ((at >= 12 && at < 16) || (at >= vectorHead && at < vectorHead + 3)) continue;
      const flipped = Uint8Array.from(right);
      flipped[at]! ^= 1 << (bit & 7);
      expect(parse(flipped).type).toBe("invalid");
    }
  });

  test("CRC32c has its well-known check value", () => {
    expect(crc32c(ascii("123456789"), 0, 9)).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa); // RFC 3720 appendix B.4
  });
});

describe("either version", () => {
  const one = ascii("PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
  const two = v2(1, 0x11, [...IPV4_BODY, ...vector(0x02, ascii("a.example"))]);

  test("a listener takes the version that it is told to", () => {
    expect(MODES.map((mode) => parse(one, mode).type)).toEqual(["header", "invalid", "header"]);
    expect(MODES.map((mode) => parse(two, mode).type)).toEqual(["invalid", "header", "header"]);
    expect(reason(one, "v2")).toBe("its PROXY header is of version 1");
    expect(reason(two, "v1")).toBe("its PROXY header is of version 2");
  });

  test("cut off anywhere, a header needs more", () => {
    for (const bytes of [one, two]) {
      for (let cut = 0; cut < bytes.length; cut++)
        expect(parse(bytes.subarray(0, cut)).type).toBe("more");
    }
  });

  test("the stream that follows is not looked at", () => {
    for (const bytes of [one, two]) {
      const outcome = parse(Uint8Array.from([...bytes, ...ascii("GET / HTTP/1.1\r\n")]));
      expect(outcome).toEqual(parse(bytes));
    }
  });

  test("what begins otherwise is invalid at its first wrong byte", () => {
    expect(reason(ascii("G"))).toBe("it does not begin with a PROXY header");
    expect(reason(ascii("PROXZ"))).toBe("it does not begin with a PROXY header");
    expect(reason(Uint8Array.of(13, 10, 13, 13))).toBe("it does not begin with a PROXY header");
    expect(reason(Uint8Array.of(22, 3, 1))).toBe("it does not begin with a PROXY header");
  });

  const seeds = fc.constantFrom(one, two, ascii("PROXY UNKNOWN\r\n"), v2(0, 0, []));
  const mutated = fc
    .tuple(seeds, fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }), fc.uint8Array())
    .map(([seed, changes, tail]) => {
      const bytes = Uint8Array.from([...seed, ...tail]);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });

  test("no bytes make the parser throw, read outside, or change an answer once given", () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array()), fc.constantFrom(...MODES), (bytes, mode) => {
        const whole = parse(bytes, mode);
        if (whole.type === "header") {
          expect(whole.length).toBeLessThanOrEqual(bytes.length);
          expect(parse(bytes.slice(0, whole.length), mode)).toEqual(whole);
        }
        let decided: ProxyOutcome | undefined;
        for (let cut = 0; cut <= bytes.length; cut++) {
          // Around the view stand bytes that would complete a header, were they read.
          const around = Uint8Array.from([13, 10, ...bytes.subarray(0, cut), ...two, 13, 10]);
          const outcome = parse(around.subarray(2, 2 + cut), mode);
          if (decided === undefined && outcome.type !== "more") decided = outcome;
          if (decided !== undefined) expect(outcome).toEqual(decided);
        }
        expect(whole).toEqual(decided ?? { type: "more" });
      }),
      { numRuns: 300 },
    );
  });
});
