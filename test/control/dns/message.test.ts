// Names and messages of the DNS: what is written is what RFC 1035 says, and no bytes can do more than be refused.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import {
  decodeMessage,
  encodeQuery,
  recordsOf,
  type RecordType,
} from "../../../src/control/dns/message.ts";
import {
  encodeName,
  isWithin,
  labelText,
  normalName,
  parentName,
} from "../../../src/control/dns/names.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

const HEADER = "1234 8400 0001 0001 0000 0000";
/** `a.example`, class IN. */
const QUESTION = "01 61 07 6578616d706c65 00 0010 0001";

const message = (...parts: string[]): Uint8Array => hex(parts.join(""));

describe("names", () => {
  test("are encoded as RFC 1035 section 3.1 has it, in lower case", () => {
    expect(encodeName("A.Example")).toEqual(hex("01 61 07 6578616d706c65 00"));
    expect(encodeName("a.example.")).toEqual(hex("01 61 07 6578616d706c65 00"));
    expect(encodeName("")).toEqual(hex("00"));
  });

  test.each([
    "a..b",
    ".a",
    "a".repeat(64),
    `${"a.".repeat(127)}aa`,
    "ä.example",
    "\\256.example",
    "a b",
  ])("%p is none", (name) => expect(encodeName(name)).toBeNull());

  test("have 127 labels at most", () => {
    expect(encodeName("a.".repeat(127))?.length).toBe(255);
  });

  test("parents are found label by label, also where a dot is part of a label", () => {
    expect(parentName("_acme-challenge.a.example")).toBe("a.example");
    expect(parentName("a\\.b.example")).toBe("example");
    expect(parentName("a\\046b.example")).toBe("example");
    expect(parentName("example")).toBe("");
    expect(parentName("")).toBe("");
  });

  test("are within their zone, and not within one whose name only ends alike", () => {
    expect(isWithin("a.example.com", "example.com")).toBe(true);
    expect(isWithin("example.com", "example.com")).toBe(true);
    expect(isWithin("an-example.com", "example.com")).toBe(false);
    expect(isWithin("com", "example.com")).toBe(false);
  });

  test("any labels survive being text", () => {
    const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), (labels) => {
        const name = labels.map(labelText).join(".");
        const lower = labels.map((bytes) =>
          bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)),
        );
        const wire = Buffer.concat([
          ...lower.map((bytes) => Buffer.concat([new Uint8Array([bytes.length]), bytes])),
          new Uint8Array(1),
        ]);
        expect(encodeName(name)).toEqual(new Uint8Array(wire));
        expect(parentName(name)).toBe(labels.slice(1).map(labelText).join("."));
        expect(normalName(name)).toBe(name);
      }),
    );
  });
});

describe("queries", () => {
  test("have one question, and EDNS0 with the size of answers", () => {
    const query = encodeQuery(
      { name: "a.example", type: "TXT" },
      { id: 0x1234, recursive: false, payloadBytes: 1232 },
    );
    expect(query).toEqual(
      message("1234 0000 0001 0000 0000 0001", QUESTION, "00 0029 04d0 00000000 0000"),
    );
  });

  test("ask for recursion where they should, and leave EDNS0 out where they should", () => {
    const query = encodeQuery(
      { name: "a.example", type: "TXT" },
      { id: 0x1234, recursive: true, payloadBytes: null },
    );
    expect(query).toEqual(message("1234 0100 0001 0000 0000 0000", QUESTION));
  });

  test("are read back", () => {
    const types: RecordType[] = ["A", "AAAA", "CNAME", "NS", "SOA", "TXT"];
    fc.assert(
      fc.property(
        fc.domain(),
        fc.constantFrom(...types),
        fc.nat(0xffff),
        fc.boolean(),
        (name, type, id, edns) => {
          const payloadBytes = edns ? 1232 : null;
          const query = encodeQuery({ name, type }, { id, recursive: true, payloadBytes });
          expect(decodeMessage(query!)).toMatchObject({
            id,
            isResponse: false,
            question: { name: normalName(name), type },
            answers: [],
          });
        },
      ),
    );
  });
});

describe("answers", () => {
  const decode = (...parts: string[]) => decodeMessage(message(...parts));

  test("compressed names are followed, and several strings are one text", () => {
    const found = decode(HEADER, QUESTION, "c00c 0010 0001 0000003c 0006 02 6162 02 6364");
    expect(found).toMatchObject({
      id: 0x1234,
      isResponse: true,
      authoritative: true,
      truncated: false,
      rcode: "NOERROR",
      question: { name: "a.example", type: "TXT" },
      answers: [{ name: "a.example", type: "TXT", ttlSeconds: 60, data: "abcd" }],
    });
    expect(recordsOf(found!.answers, { name: "A.example.", type: "TXT" })).toHaveLength(1);
    expect(recordsOf(found!.answers, { name: "example", type: "TXT" })).toHaveLength(0);
  });

  test("addresses of both families", () => {
    const [four] = decode(HEADER, QUESTION, "c00c 0001 0001 0000003c 0004 c0000201")!.answers;
    expect(four).toMatchObject({ type: "A", data: "192.0.2.1" });
    const six = "c00c 001c 0001 0000003c 0010 20010db8000000000000000000000001";
    expect(decode(HEADER, QUESTION, six)!.answers[0]).toMatchObject({
      type: "AAAA",
      data: "2001:db8::1",
    });
  });

  test("an SOA record in the authority section names the zone", () => {
    const numbers = "00000001 00000e10 00000258 00000e10 0000003c";
    const soa = `c00e 0006 0001 0000003c 001b 02 6e73 c00e c00e ${numbers}`;
    expect(decode("1234 8403 0001 0000 0001 0000", QUESTION, soa)).toMatchObject({
      rcode: "NXDOMAIN",
      answers: [],
      authority: [{ name: "example", type: "SOA", data: "ns.example" }],
    });
  });

  test("records of other types and classes are left out, those after them are read", () => {
    const caa = "c00c 0101 0001 0000003c 0003 000000";
    const chaos = "c00c 0010 0003 0000003c 0003 02 6162";
    const text = "c00c 0010 0001 0000003c 0003 02 6162";
    const found = decode("1234 8400 0001 0003 0000 0000", QUESTION, caa, chaos, text);
    expect(found!.answers.map(({ data }) => data)).toEqual(["ab"]);
  });

  test("the upper bits of the rcode are in the OPT record", () => {
    const opt = "00 0029 04d0 01000000 0000";
    expect(decode("1234 8000 0001 0000 0000 0001", QUESTION, opt)!.rcode).toBe("BADVERS");
    expect(decode("1234 8005 0001 0000 0000 0000", QUESTION)!.rcode).toBe("REFUSED");
  });

  test("of a truncated message only the header and the question count", () => {
    const half = "c00c 0010 0001 0000003c 00ff 02 61";
    expect(decode("1234 8600 0001 0002 0000 0000", QUESTION, half)).toMatchObject({
      truncated: true,
      question: { name: "a.example" },
      answers: [],
    });
  });

  test.each([
    ["a pointer to itself", "c01b 0010 0001 0000003c 0003 02 6162"],
    ["a pointer forward", "c0ff 0010 0001 0000003c 0003 02 6162"],
    ["two pointers in a circle", "01 62 c01b 0010 0001 0000003c 0003 02 6162"],
    ["a label of a reserved kind", "8061 0010 0001 0000003c 0003 02 6162"],
    ["data longer than the message", "c00c 0010 0001 0000003c 0009 02 6162"],
    ["a string longer than its data", "c00c 0010 0001 0000003c 0003 03 6162"],
    ["an address with three bytes", "c00c 0001 0001 0000003c 0003 c00002"],
    ["a CNAME with bytes behind its name", "c00c 0005 0001 0000003c 0003 c00c 00"],
    ["nothing where a record should be", ""],
  ])("%s is refused", (_, record) => expect(decode(HEADER, QUESTION, record)).toBeNull());

  test("any bytes are read to an end, or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const found = decodeMessage(bytes);
        if (bytes.length < 12) expect(found).toBeNull();
        for (const { name } of found?.answers ?? []) {
          expect(encodeName(name)).not.toBeNull();
        }
      }),
    );
  });

  test("names out of pointers and labels in any order are read to an end, or refused", () => {
    const piece = fc.oneof(
      fc.nat(0x3fff).map((to) => [0xc0 | (to >> 8), to & 0xff]),
      fc.uint8Array({ minLength: 1, maxLength: 5 }).map((bytes) => [bytes.length, ...bytes]),
      fc.constant([0]),
      fc.constant([0, 16, 0, 1, 0, 0, 0, 0, 0, 0]),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        const bytes = new Uint8Array([...hex("1234 8400 0000 00ff 0000 0000"), ...pieces.flat()]);
        const names = decodeMessage(bytes)?.answers.map(({ name }) => name) ?? [];
        expect(names.every((name) => encodeName(name) !== null)).toBe(true);
      }),
    );
  });
});

describe("pointers that lead to pointers", () => {
  /** A record of a type that nobody asks for, in whose data they are, and one whose name is the last of them. */
  const chain = (length: number): Uint8Array => {
    const data: number[] = [0, 0];
    const start = 12 + 11;
    for (let i = 1; i <= length; i++) {
      const to = start + 2 * (i - 1);
      data.push(0xc0 | (to >> 8), to & 0xff);
    }
    const last = start + 2 * length;
    const size = [data.length >> 8, data.length & 0xff];
    return new Uint8Array([
      ...hex("1234 8400 0000 0002 0000 0000 00 0063 0001 0000003c"),
      ...size,
      ...data,
      0xc0 | (last >> 8),
      last & 0xff,
      ...hex("0001 0001 0000003c 0004 c0000201"),
    ]);
  };

  test("are followed if they are few", () => {
    expect(decodeMessage(chain(100))?.answers).toMatchObject([{ name: "", data: "192.0.2.1" }]);
  });

  test("are refused if they are many", () => {
    expect(decodeMessage(chain(8_000))).toBeNull();
  });
});
