// Chunks whose sizes, extensions, ends and trailers two programs could read differently. A body's head is forwarded before its
// body is read, so what is refused here is cut off: the backend never sees an end of it.

import { get, post, SMUGGLED, type SmugglingCase } from "./case.ts";

const HEAD = post(["Transfer-Encoding: chunked"]);

/** The backend sees the head, and perhaps whole chunks, and no end. */
function cut(name: string, body: string, passed = ""): SmugglingCase {
  return { name, bytes: HEAD + body + SMUGGLED, cut: HEAD + passed, status: 400 };
}

function kept(name: string, body: string, as: string): SmugglingCase {
  return { name, bytes: HEAD + body + get(), forwarded: [HEAD + as, get()] };
}

const X = "1\r\nx\r\n";

export const CHUNKS: readonly SmugglingCase[] = [
  cut("a size with a sign", "+1\r\nx\r\n0\r\n\r\n"),
  cut("a negative size", "-1\r\nx\r\n0\r\n\r\n"),
  cut("a size with a prefix of hex", "0x1\r\nx\r\n0\r\n\r\n"),
  cut("a size with a space before it", " 1\r\nx\r\n0\r\n\r\n"),
  cut("a size with a space behind it", "1 \r\nx\r\n0\r\n\r\n"),
  cut("a size with a tab behind it", "1\t\r\nx\r\n0\r\n\r\n"),
  cut("a size with a space before its extension", "1 ;a=b\r\nx\r\n0\r\n\r\n"),
  cut("a size with a NUL", "1\0\r\nx\r\n0\r\n\r\n"),
  cut("a size with an underscore", "1_0\r\nx\r\n0\r\n\r\n"),
  cut("a size with a comma", "1,0\r\nx\r\n0\r\n\r\n"),
  cut("a size with a letter beyond hex", "g\r\nx\r\n0\r\n\r\n"),
  cut("a size that is empty", "\r\nx\r\n0\r\n\r\n"),
  cut("a size that is only an extension", ";a=b\r\nx\r\n0\r\n\r\n"),
  cut("a size that overflows 64 bits", "10000000000000001\r\nx\r\n0\r\n\r\n"),
  cut("a size that overflows 53 bits", "20000000000000\r\nx\r\n0\r\n\r\n"),
  cut("a size with twenty leading zeros", "000000000000000000001\r\nx\r\n0\r\n\r\n"),
  cut("a size that ends in a bare LF", "1\nx\r\n0\r\n\r\n"),
  cut("a size that ends in a bare CR", "1\rx\r\n0\r\n\r\n"),
  cut("a size that ends in CR CR LF", "1\r\r\nx\r\n0\r\n\r\n"),
  cut("an extension that ends in a bare LF", "1;a\nx\r\n0\r\n\r\n"),
  cut("an extension with a bare CR", "1;a\rb\r\nx\r\n0\r\n\r\n"),
  cut("an extension with a NUL", "1;a\0\r\nx\r\n0\r\n\r\n"),
  cut("an extension with a line's end in quotes", '1;a="\r\n0\r\n\r\n"\r\nx\r\n0\r\n\r\n'),
  cut("an extension that never ends", `1;${"a".repeat(300)}\r\nx\r\n0\r\n\r\n`),
  cut("a chunk that ends in a bare LF", "1\r\nx\n0\r\n\r\n", X),
  cut("a chunk that ends in a bare CR", "1\r\nx\r0\r\n\r\n", X),
  cut("a chunk without an end", "1\r\nx0\r\n\r\n", X),
  cut("a chunk that is longer than its size", "1\r\nxy\r\n0\r\n\r\n", X),
  cut("a chunk that is shorter than its size", "5\r\nx\r\n0\r\n\r\n"),
  cut("a last chunk that ends in a bare LF", "0\n\r\n"),
  cut("a body that ends in a bare LF", "0\r\n\n"),
  cut("a body that ends in a bare CR", "0\r\n\r"),
  cut("a trailer with a space before its colon", "0\r\nX-A : b\r\n\r\n"),
  cut("a trailer that is folded", "0\r\nX-A: b\r\n c\r\n\r\n"),
  cut("a trailer that ends in a bare LF", "0\r\nX-A: b\n\r\n"),
  cut("a trailer with a bare CR", "0\r\nX-A: b\rc\r\n\r\n"),
  cut("a trailer with a NUL", "0\r\nX-A: b\0\r\n\r\n"),
  cut("a trailer that is the smuggled request", "0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
  kept("sizes in capital letters", "A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n"),
  kept("leading zeros of a size", "0005\r\nhello\r\n000\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
  kept("extensions are dropped", '5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', "5\r\nhello\r\n0\r\n\r\n"),
  kept(
    "a request within a chunk",
    `2b\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    `2b\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  ),
  kept("trailers are passed on", "0\r\nX-Sum: 1\r\n\r\n", "0\r\nX-Sum: 1\r\n\r\n"),
  kept("a length in the trailers is dropped", "0\r\nContent-Length: 9\r\n\r\n", "0\r\n\r\n"),
  kept(
    "a coding in the trailers is dropped",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\n\r\n",
  ),
  kept("Host in the trailers is dropped", "0\r\nHost: b\r\nX-A: b\r\n\r\n", "0\r\nX-A: b\r\n\r\n"),
  kept(
    "credentials in the trailers are dropped",
    "0\r\nAuthorization: x\r\nCookie: y\r\n\r\n",
    "0\r\n\r\n",
  ),
  kept("Connection in the trailers is dropped", "0\r\nConnection: close\r\n\r\n", "0\r\n\r\n"),
  kept(
    "X-Forwarded-For in the trailers is dropped",
    "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    "0\r\n\r\n",
  ),
  kept("the same, with underscores", "0\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n", "0\r\n\r\n"),
];
