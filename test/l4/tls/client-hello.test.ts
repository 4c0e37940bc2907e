// The ClientHello by hand: what is found in it, what TLS forbids, and that no bytes, however they are cut, make the parser
// throw or change its mind. Hellos of real clients are in test/e2e/client-hello.test.ts.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  type ClientHello,
  type HelloOutcome,
  parseClientHello,
} from "../../../src/l4/tls/client-hello.ts";
import { FIRST_BYTES } from "../../../src/shared/limits.ts";
import {
  alpn,
  ascii,
  type Extension,
  hello,
  message,
  POST_QUANTUM,
  record,
  recut,
  sni,
  vector16,
  wrap,
} from "./hellos.ts";

function read(bytes: Uint8Array): ClientHello {
  const outcome = parseClientHello(bytes);
  if (outcome.type !== "hello") throw new Error(JSON.stringify(outcome));
  return outcome.hello;
}

function reason(bytes: ArrayLike<number>): string {
  const outcome = parseClientHello(Uint8Array.from(bytes));
  return outcome.type === "invalid" ? outcome.reason : outcome.type;
}

const bad = {
  name: "its hello has an invalid server name",
  protocols: "its hello has an invalid list of protocols",
  lengths: "its hello has lengths that contradict each other",
  record: "it sends another record before its hello is whole",
  long: "its hello is too long",
};

const GREASE: Extension = [0x5a5a, []];
const FULL = hello([
  GREASE,
  POST_QUANTUM,
  alpn("\x2a\x2a", "h2", "http/1.1"),
  sni("Www.Example.COM"),
  [0xfafa, [0]],
]);

describe("server names", () => {
  test("are found among other extensions, in lower case", () => {
    expect(read(FULL)).toEqual({ sni: "www.example.com", alpn: ["h2", "http/1.1"] });
  });

  test.each([
    ["example.com.", "example.com"],
    ["localhost", "localhost"],
    ["_dmarc.xn--bcher-kva.example", "_dmarc.xn--bcher-kva.example"],
    ["r3---sn-4g5e6nez.example", "r3---sn-4g5e6nez.example"],
    ["a".repeat(63) + ".example", "a".repeat(63) + ".example"],
  ])("%s", (name, expected) => expect(read(hello([sni(name)])).sni).toBe(expected));

  test.each(["10.0.0.1", "::1", "2001:db8::1"])("the address %s is no name", (address) => {
    expect(read(hello([sni(address)])).sni).toBeNull();
  });

  test.each([
    "",
    ".",
    "a..b",
    "a b",
    "*.example.com",
    "bücher.example",
    "a\0.example",
    "example.com:443",
    "example.com..",
    "a".repeat(64) + ".example",
    "a.".repeat(127) + "example",
  ])("%p is invalid", (name) => expect(reason(hello([sni(name)]))).toBe(bad.name));

  test("of several, and of none in the list, nothing can be said", () => {
    expect(reason(hello([sni("a.example", "b.example")]))).toBe(bad.name);
    expect(reason(hello([sni("a.example", "a.example")]))).toBe(bad.name);
    expect(reason(hello([sni()]))).toBe(bad.name);
    expect(reason(hello([[0, []]]))).toBe(bad.name);
    expect(reason(hello([[0, [...sni("a.example")[1], 0]]]))).toBe(bad.name);
    expect(reason(hello([[0, vector16([0, 0, 9, 65])]]))).toBe(bad.name);
  });

  test("names of a type that nobody has defined are passed over", () => {
    const other = [7, ...vector16(ascii("whatever"))];
    const host = [0, ...vector16(ascii("a.example"))];
    expect(read(hello([[0, vector16([...other, ...host])]])).sni).toBe("a.example");
    expect(read(hello([[0, vector16(other)]])).sni).toBeNull();
  });
});

describe("protocols", () => {
  test("come in the client's order, byte for byte", () => {
    expect(read(hello([alpn("x\xff", "h2")])).alpn).toEqual(["x\xff", "h2"]);
  });

  test("a client need not offer any", () => {
    expect(read(hello([]))).toEqual({ sni: null, alpn: [] });
    expect(read(hello(null))).toEqual({ sni: null, alpn: [] });
  });

  test("an empty list, an empty name and a name cut off are invalid", () => {
    for (const data of [
      [],
      vector16([]),
      vector16([0, 1, 65]),
      vector16([3, 65]),
      [0, 2, 1, 65, 0],
    ])
      expect(reason(hello([[16, data]]))).toBe(bad.protocols);
  });
});

describe("the hello", () => {
  test("may be cut into records anywhere, its header too", () => {
    const expected = read(FULL);
    for (const lengths of [
      [1],
      [1, 1, 1, 1, 1],
      [3],
      [4],
      [FULL.length - 6],
      Array<number>(FULL.length).fill(1),
    ])
      expect(read(recut(FULL, lengths))).toEqual(expected);
  });

  test("cut off anywhere, it needs more", () => {
    for (const bytes of [FULL, recut(FULL, [2, 300, 1])]) {
      for (let cut = 0; cut < bytes.length; cut++)
        expect(parseClientHello(bytes.subarray(0, cut)).type).toBe("more");
    }
  });

  test("is not waited for when the first bytes are of something else", () => {
    for (const first of [
      "GET / HTTP/1.1",
      "SSH-2.0-",
      "\x80\x2e\x01\x03\x01",
      "\x00",
      "\x16\x02\x00",
    ])
      expect(reason(ascii(first))).toBe("not_tls");
    expect(reason([22, 3])).toBe("more");
  });

  test("whose last record goes on behind it, or of which another kind of record is in the middle, is invalid", () => {
    const text = message([sni("a.example")]);
    expect(reason(record([...text, 0]))).toBe("something follows its hello in the same record");
    const [head, tail] = [record(text.slice(0, 20)), record(text.slice(20))];
    expect(reason([...head, ...tail])).toBe("hello");
    for (const type of [20, 21, 23, 24]) {
      expect(reason([...head, ...record([1], type), ...tail])).toBe(bad.record);
      expect(reason([...head, type])).toBe(bad.record);
    }
    expect(reason([...head, 22, 2])).toBe(bad.record);
    expect(reason([...head, ...record([]), ...tail])).toBe("it sends an empty record");
    expect(reason([...head, ...tail, 23, 3, 3, 0])).toBe("hello");
  });

  test("that is another message is invalid at once", () => {
    expect(reason([22, 3, 1, 0, 4, 2])).toBe("it does not begin with a hello");
    expect(reason([22, 3, 1, 0, 4, 1])).toBe("more");
  });

  test("whose lengths do not fit together is invalid", () => {
    const body = message([sni("a.example")]).slice(4);
    for (let cut = 0; cut < body.length; cut++) {
      // Without extensions it may end behind the compression methods.
      const expected = cut === 2 + 32 + 33 + 6 + 2 ? "hello" : bad.lengths;
      expect(reason(record(wrap(body.slice(0, cut))))).toBe(expected);
    }
    expect(reason(record(wrap([...body, 0])))).toBe(bad.lengths);
    const oddSuites = [3, 3, ...Array<number>(32).fill(0), 0, 0, 3, 1, 2, 3, 1, 0];
    expect(reason(record(wrap(oddSuites)))).toBe(bad.lengths);
    expect(reason(record(wrap([2, ...body.slice(1)])))).toBe("its hello is of no version of TLS");
  });

  test("that has an extension twice is invalid, even one of no interest", () => {
    expect(reason(hello([GREASE, sni("a.example"), GREASE]))).toBe(
      "its hello has an extension twice",
    );
  });

  test("has a longest length, known from its header and from its records", () => {
    const padding = (bytes: number): Extension => [21, new Array<number>(bytes).fill(0)];
    const empty = message([padding(0)]).length;
    const longest = message([padding(FIRST_BYTES.clientHelloMaxBytes - empty)]);
    const half = longest.length / 2;
    const records = [...record(longest.slice(0, half)), ...record(longest.slice(half))];
    expect(reason(records)).toBe("hello");
    expect(reason([22, 3, 1, 0, 4, 1, 0, 0x80, 0])).toBe(bad.long);
    expect(reason([22, 3, 1, 0x40, 1])).toBe("its record is longer than TLS allows");
    const dust = longest.flatMap((byte) => record([byte]));
    expect(reason(dust)).toBe(bad.long);
    expect(reason(dust.slice(0, FIRST_BYTES.clientHelloWireMaxBytes))).toBe(bad.long);
  });
});

describe("whatever comes", () => {
  const seeds = fc.constantFrom(FULL, recut(FULL, [1, 2, 600]), hello([sni("a.example")]));
  const mutated = fc
    .tuple(seeds, fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 3 }))
    .map(([seed, changes]) => {
      const bytes = Uint8Array.from(seed);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  const anything = fc.oneof(
    mutated,
    fc.uint8Array({ maxLength: 100 }),
    fc.uint8Array({ maxLength: 100 }).map((body) => Uint8Array.from(record(wrap([...body])))),
  );

  test("the parser does not throw, does not read outside, and does not change its mind", () => {
    fc.assert(
      fc.property(anything, fc.array(fc.nat(2_000), { maxLength: 20 }), (bytes, cuts) => {
        const whole = parseClientHello(bytes);
        let decided: HelloOutcome | undefined;
        const ends = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
        for (const end of [...ends, bytes.length]) {
          // Around the view stand bytes that would go on with a hello, were they read.
          const around = Uint8Array.from([22, 3, ...bytes.subarray(0, end), ...FULL]);
          const outcome = parseClientHello(around.subarray(2, 2 + end));
          if (decided === undefined && outcome.type !== "more") decided = outcome;
          if (decided !== undefined) expect(outcome).toEqual(decided);
        }
        expect(whole).toEqual(decided ?? { type: "more" });
      }),
      { numRuns: 1_000 },
    );
  });

  test("cutting into other records does not change what is found", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 30 }), (lengths) => {
        expect(read(recut(FULL, lengths))).toEqual(read(FULL));
      }),
    );
  });
});
