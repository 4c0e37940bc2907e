// Answers of a backend that two programs could take for two different things, by which one client is shown another's answer. As
// pure data: what follows a GET, and what its client must be told.

/** `told` is the answer: its body, or null if it is malformed and nothing of it may be passed on. */
export interface AnswerCase {
  readonly name: string;
  readonly bytes: string;
  readonly method?: string;
  readonly told: string | null;
  /** Whether the connection takes another request. */
  readonly reused: boolean;
}

const OK = "HTTP/1.1 200 OK\r\n";
const NEXT = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

function malformed(name: string, bytes: string): AnswerCase {
  return { name, bytes, told: null, reused: false };
}

function withLines(name: string, ...lines: string[]): AnswerCase {
  return malformed(name, `${OK}${lines.join("\r\n")}\r\n\r\nhello`);
}

export const ANSWERS: readonly AnswerCase[] = [
  withLines("two lengths that differ", "Content-Length: 5", "Content-Length: 0"),
  withLines("two lengths that are the same", "Content-Length: 5", "Content-Length: 5"),
  withLines("a list of lengths", "Content-Length: 5, 5"),
  withLines("a negative length", "Content-Length: -5"),
  withLines("a length with a sign", "Content-Length: +5"),
  withLines("a length in hex", "Content-Length: 0x5"),
  withLines("an empty length", "Content-Length:"),
  withLines("a length that overflows", "Content-Length: 18446744073709551621"),
  withLines("a length beside chunks", "Content-Length: 5", "Transfer-Encoding: chunked"),
  withLines("another coding", "Transfer-Encoding: gzip"),
  withLines("another coding before chunks", "Transfer-Encoding: gzip, chunked"),
  withLines("identity", "Transfer-Encoding: identity"),
  withLines("chunked twice", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
  withLines("a coding with a vertical tab", "Transfer-Encoding: \vchunked"),
  withLines("a space before a colon", "Content-Length : 5"),
  withLines("a folded line", "X-A: b", " c"),
  withLines("a bare CR", "X-A: b\rContent-Length: 5"),
  withLines("a bare LF", "X-A: b\nContent-Length: 5"),
  withLines("a NUL", "X-A: b\0"),
  withLines("a field without a name", ": b"),
  malformed("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  malformed("a status line that ends in a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
  malformed("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"),
  malformed("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
  malformed("a status of letters", "HTTP/1.1 2x0 OK\r\n\r\n"),
  malformed("a status below 100", "HTTP/1.1 099 OK\r\n\r\n"),
  malformed("a status beyond 599", "HTTP/1.1 600 OK\r\n\r\n"),
  malformed("two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n"),
  malformed("HTTP/2", "HTTP/2 200 OK\r\n\r\n"),
  malformed("HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"),
  malformed("HTTP/0.9", "<html>"),
  malformed("another protocol", "ICY 200 OK\r\n\r\n"),
  malformed("an empty line first", `\r\n${OK}Content-Length: 0\r\n\r\n`),
  malformed("a control character in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"),
  malformed(
    "an upgrade that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
  ),
  {
    name: "what follows an answer is not the answer to the next request",
    bytes: `${OK}Content-Length: 5\r\n\r\nhello${NEXT}`,
    told: "hello",
    reused: false,
  },
  {
    name: "what follows chunks is not the answer to the next request",
    bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${NEXT}`,
    told: "hello",
    reused: false,
  },
  {
    name: "a body of 204 is not the answer to the next request",
    bytes: `HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello`,
    told: "",
    reused: false,
  },
  {
    name: "a body of 304 is not the answer to the next request",
    bytes: `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello`,
    told: "",
    reused: false,
  },
  {
    name: "a body in answer to HEAD is not the answer to the next request",
    bytes: `${OK}Content-Length: 5\r\n\r\nhello`,
    method: "HEAD",
    told: "",
    reused: false,
  },
  {
    name: "the length of an answer to HEAD is not waited for",
    bytes: `${OK}Content-Length: 5\r\n\r\n`,
    method: "HEAD",
    told: "",
    reused: true,
  },
  {
    name: "chunks of an answer to HEAD are not waited for",
    bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n`,
    method: "HEAD",
    told: "",
    reused: true,
  },
  {
    name: "a length of 304 is not waited for",
    bytes: `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n`,
    told: "",
    reused: true,
  },
  {
    name: "a length of 100 is not waited for",
    bytes: `HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello`,
    told: "hello",
    reused: true,
  },
  {
    name: "Connection: close is believed",
    bytes: `${OK}Content-Length: 5\r\nConnection: close\r\n\r\nhello`,
    told: "hello",
    reused: false,
  },
  {
    name: "HTTP/1.0 ends its connection",
    bytes: `HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello`,
    told: "hello",
    reused: false,
  },
  {
    name: "HTTP/1.0 that keeps its connection",
    bytes: `HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello`,
    told: "hello",
    reused: true,
  },
  {
    name: "a reason that is missing, with its space",
    bytes: `HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello`,
    told: "hello",
    reused: true,
  },
];
