// Content-Length in every form that some program has read as another number, and beside Transfer-Encoding.

import { get, post, refusedPosts, SMUGGLED, type SmugglingCase } from "./case.ts";

const CHUNKS = "0\r\n\r\n";

export const LENGTHS: readonly SmugglingCase[] = [
  ...refusedPosts(400, `x${SMUGGLED}`, [
    ["two lengths that differ", "Content-Length: 1", "Content-Length: 50"],
    ["two lengths that are the same", "Content-Length: 1", "Content-Length: 1"],
    ["three lengths", "Content-Length: 1", "content-length: 1", "CONTENT-LENGTH: 1"],
    ["a list of lengths that are the same", "Content-Length: 1, 1"],
    ["a list of lengths that differ", "Content-Length: 1, 50"],
    ["a list with an empty item", "Content-Length: 1,"],
    ["a sign", "Content-Length: +1"],
    ["a negative length", "Content-Length: -1"],
    ["a negative zero", "Content-Length: -0"],
    ["a length in hex", "Content-Length: 0x1"],
    ["a length in hex without a prefix", "Content-Length: a"],
    ["a fraction", "Content-Length: 1.0"],
    ["an exponent", "Content-Length: 1e0"],
    ["digits with a separator", "Content-Length: 1_0"],
    ["digits with a space in them", "Content-Length: 1 0"],
    ["an empty length", "Content-Length:"],
    ["a length of nothing but white space", "Content-Length: \t "],
    ["a length in quotes", 'Content-Length: "1"'],
    ["a length with a parameter", "Content-Length: 1;q=1"],
    ["a length that overflows 64 bits to 1", "Content-Length: 18446744073709551617"],
    [
      "a length that overflows 32 bits to 1 in doubles of digits",
      "Content-Length: 4294967297000000",
    ],
    ["a length beyond what a double holds", "Content-Length: 9007199254740993"],
    ["digits beyond ASCII", "Content-Length: \xb9"],
    ["a vertical tab before the length", "Content-Length: \v1"],
    ["a form feed behind the length", "Content-Length: 1\f"],
    ["a NUL behind the length", "Content-Length: 1\0"],
    ["a length beside chunks", "Content-Length: 1", "Transfer-Encoding: chunked"],
    ["chunks beside a length", "Transfer-Encoding: chunked", "Content-Length: 1"],
    ["a length of zero beside chunks", "Content-Length: 0", "Transfer-Encoding: chunked"],
    [
      "chunks between two lengths",
      "Content-Length: 1",
      "Transfer-Encoding: chunked",
      "Content-Length: 1",
    ],
  ]),
  {
    name: "CL.TE: the length ends before what the chunks would",
    bytes: post(["Content-Length: 6", "Transfer-Encoding: chunked"], `${CHUNKS}G`),
    status: 400,
  },
  {
    name: "TE.CL: the chunks end behind what the length would",
    bytes: post(
      ["Content-Length: 4", "Transfer-Encoding: chunked"],
      `2b\r\n${SMUGGLED}\r\n${CHUNKS}`,
    ),
    status: 400,
  },
  {
    name: "a length of GET is kept, and what follows is the next request",
    bytes: get(["Content-Length: 5"]) + "hello" + get(),
    forwarded: [get(["Content-Length: 5"]) + "hello", get()],
  },
  {
    name: "a request within a body stays in the body",
    bytes: post([`Content-Length: ${SMUGGLED.length}`], SMUGGLED) + get(["X-Last: 1"]),
    forwarded: [post([`Content-Length: ${SMUGGLED.length}`], SMUGGLED), get(["X-Last: 1"])],
  },
  {
    name: "leading zeros of a length are taken off",
    bytes: post(["Content-Length: 0005"], "hello") + get(),
    forwarded: [post(["Content-Length: 5"], "hello"), get()],
  },
  {
    name: "white space around a length is taken off",
    bytes: post(["Content-Length: \t 5 \t"], "hello") + get(),
    forwarded: [post(["Content-Length: 5"], "hello"), get()],
  },
  {
    name: "a length of zero has no body, so what follows is the next request",
    bytes: post(["Content-Length: 0"]) + get(["X-Last: 1"]),
    forwarded: [post(["Content-Length: 0"]), get(["X-Last: 1"])],
  },
  {
    name: "POST without a length has no body, so what follows is the next request",
    bytes: post([]) + get(["X-Last: 1"]),
    forwarded: [post(["Content-Length: 0"]), get(["X-Last: 1"])],
  },
  {
    name: "a name that only looks like the length's where `_` stands for `-` is dropped",
    bytes: post(["Content_Length: 45", "Content-Length: 5"], "hello") + get(),
    forwarded: [post(["Content-Length: 5"], "hello"), get()],
  },
  {
    name: "a body that is shorter than its length is cut off with its client",
    bytes: post(["Content-Length: 50"], "G"),
    forwarded: [],
    cut: post(["Content-Length: 50"], "G"),
  },
];
