// HPACK: see src/protocols/http/h2/hpack/decoder.ts.

import { describe, expect, test } from "bun:test";

import {
  BROKEN,
  DECODED,
  HpackDecoder,
  TOO_LARGE,
} from "../../../../../src/protocols/http/h2/hpack/decoder.ts";
import * as Static from "../../../../../src/protocols/http/h2/hpack/static-table.ts";
import { Fields } from "../../../../../src/protocols/http/message/fields.ts";
import { decode, type Entry, hex } from "./codec.ts";

const GET: Entry[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const SECOND: Entry[] = [...GET, ["cache-control", "no-cache"]];
const THIRD: Entry[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];

function newDecoder(bytes = 65_536, fields = 128): HpackDecoder {
  return new HpackDecoder(bytes, fields);
}

describe("decoding of field blocks", () => {
  test("RFC 7541 C.2: single representations", () => {
    for (const [block, entry] of [
      [
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        ["custom-key", "custom-header"],
      ],
      ["040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"]],
      ["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret", true]],
      ["82", [":method", "GET"]],
    ] as const) {
      expect(decode(newDecoder(), hex(block)).entries).toEqual([entry as unknown as Entry]);
    }
  });

  test("RFC 7541 C.3: requests without Huffman code", () => {
    const decoder = newDecoder();
    expect(
      decode(decoder, hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d")).entries,
    ).toEqual(GET);
    expect(decode(decoder, hex("8286 84be 5808 6e6f 2d63 6163 6865")).entries).toEqual(SECOND);
    expect(
      decode(
        decoder,
        hex("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"),
      ).entries,
    ).toEqual(THIRD);
    expect(decoder.table.size).toBe(164);
  });

  test("RFC 7541 C.4: requests with Huffman code", () => {
    const decoder = newDecoder();
    expect(decode(decoder, hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")).entries).toEqual(GET);
    expect(decode(decoder, hex("8286 84be 5886 a8eb 1064 9cbf")).entries).toEqual(SECOND);
    expect(
      decode(decoder, hex("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf")).entries,
    ).toEqual(THIRD);
    expect(decoder.table.size).toBe(164);
  });

  test("RFC 7541 C.6: answers with Huffman code, in a table of 256 bytes that evicts", () => {
    const decoder = newDecoder();
    const date = "Mon, 21 Oct 2013 20:13:21 GMT";
    const location = "https://www.example.com";
    expect(
      decode(
        decoder,
        hex(`3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
             2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`),
      ).entries,
    ).toEqual([
      [":status", "302"],
      ["cache-control", "private"],
      ["date", date],
      ["location", location],
    ]);
    expect(decoder.table.size).toBe(222);
    expect(decode(decoder, hex("4883 640e ffc1 c0bf")).entries).toEqual([
      [":status", "307"],
      ["cache-control", "private"],
      ["date", date],
      ["location", location],
    ]);
    expect(decoder.table.size).toBe(222);
    expect(
      decode(
        decoder,
        hex(`88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad
             94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160
             65c0 03ed 4ee5 b106 3d50 07`),
      ).entries,
    ).toEqual([
      [":status", "200"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
      ["location", location],
      ["content-encoding", "gzip"],
      ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
    ]);
    expect(decoder.table.size).toBe(215);
  });

  test("every entry of the static table has its name and value", () => {
    expect(Static.STATIC_ARENA.length).toBe(Static.STATIC_ENDS[61]!);
    for (const [index, name, value] of [
      [1, ":authority", ""],
      [15, "accept-charset", ""],
      [16, "accept-encoding", "gzip, deflate"],
      [28, "content-length", ""],
      [38, "host", ""],
      [61, "www-authenticate", ""],
    ] as const) {
      expect(decode(newDecoder(), Uint8Array.of(0x80 | index)).entries).toEqual([[name, value]]);
    }
  });

  test("what cannot be decoded is broken: indexes, integers, strings and sizes out of range", () => {
    for (const block of [
      "80", // index 0
      "be", // nothing in the dynamic table
      "ff ff ff ff ff 0f", // an integer that is too large
      "ff ff ff ff ff ff ff ff ff 01",
      "ff", // an integer that does not end
      "40", // no name
      "40 01 61", // no value
      "40 7f 61", // a name that is longer than the block
      "40 ff ff ff ff ff 7f 61",
      "00 81 ff 00", // Huffman: eight bits of padding
      "3f e2 1f", // 4,097
      "82 20", // a size update behind a field
      "20 20 20", // three of them
    ]) {
      expect(decode(newDecoder(), hex(block)).outcome).toBe(BROKEN);
    }
    expect(decode(newDecoder(), hex("20 3fe11f 82")).outcome).toBe(DECODED);
  });

  test("a section beyond its limits is too large, and the table learns from it all the same", () => {
    const big = `40 01 61 7f 21 ${"62".repeat(160)}`; // a: 160 × b, 193 bytes in the table
    const decoder = newDecoder(400, 128);
    expect(decode(decoder, hex(big)).outcome).toBe(DECODED);
    expect(decode(decoder, hex("be be be")).outcome).toBe(TOO_LARGE);
    expect(decode(decoder, hex(`be be be 40 01 63 01 64`)).outcome).toBe(TOO_LARGE);
    expect(decode(decoder, hex("be")).entries).toEqual([["c", "d"]]);
    expect(decode(newDecoder(400, 3), hex("82 82 82 82")).outcome).toBe(TOO_LARGE);
  });

  test("a bomb costs its own length: nothing is kept of what is beyond the limit", () => {
    const decoder = newDecoder();
    decode(decoder, hex(`40 01 61 7f a1 1e ${"62".repeat(4_000)}`));
    const fields = new Fields();
    const bomb = new Uint8Array(200_000).fill(0xbe);
    expect(decoder.decode(bomb, 0, bomb.length, fields)).toBe(TOO_LARGE);
    expect(fields.used).toBeLessThanOrEqual(65_536);
    expect(fields.arena.length).toBeLessThanOrEqual(131_072);
    expect(decoder.sectionBytes).toBe(200_000 * 4_033);
  });

  test("names and values with octets that may not be there are marked, also from the table", () => {
    for (const [name, value] of [
      ["A", "v"],
      ["a b", "v"],
      ["", "v"],
      [":x", "v"],
      ["a:", "v"],
      ["a", "v\r\nx: y"],
      ["a", "v\0"],
      ["a", " v"],
      ["a", "v\t"],
      ["a", "\x01"],
      ["\xe9", "v"],
    ] as const) {
      const decoder = newDecoder();
      const bytes = Buffer.from(name + value, "latin1");
      const block = Uint8Array.of(
        0x40,
        name.length,
        ...bytes.subarray(0, name.length),
        value.length,
        ...bytes.subarray(name.length),
      );
      for (const each of [block, hex("be")]) {
        const fields = new Fields();
        expect(decoder.decode(each, 0, each.length, fields)).toBe(DECODED);
        expect(fields.ids[0]).toBe(Static.INVALID);
      }
    }
  });

  test("a peer that was told to shrink its table must say so before its next field", () => {
    const decoder = newDecoder();
    decode(decoder, hex("40 01 61 01 62"));
    decoder.setAllowed(0);
    expect(decode(decoder, hex("82")).outcome).toBe(BROKEN);
    expect(decode(decoder, hex("20 82")).outcome).toBe(DECODED);
    expect(decoder.table.count).toBe(0);
    expect(decode(decoder, hex("21 82")).outcome).toBe(BROKEN);
  });
});
