// Requests as HTTP/2 can say them and HTTP/1.1 cannot: a line's end in a value, a request line in a path. As neutral heads,
// since no parser of ours lets them through: the writer of HTTP/1.1 refuses what a parser forgot.

/** A head, in parts. Left out: GET, `/`, `a.example`, no fields, no body. */
export interface Downgrade {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly upgrade?: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  readonly contentLength?: number;
  /** What reaches the backend; null: nothing. */
  readonly written: string | null;
}

const HEAD = "GET / HTTP/1.1\r\nHost: a.example\r\n";
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example";

const field = (name: string, value: string): Pick<Downgrade, "fields"> => ({
  fields: [[name, value]],
});

export const DOWNGRADES: readonly Downgrade[] = [
  { name: "a value with CRLF", ...field("x-a", "b\r\nTransfer-Encoding: chunked"), written: null },
  {
    name: "a value with a bare LF",
    ...field("x-a", "b\nTransfer-Encoding: chunked"),
    written: null,
  },
  {
    name: "a value with a bare CR",
    ...field("x-a", "b\rTransfer-Encoding: chunked"),
    written: null,
  },
  { name: "a value with NUL", ...field("x-a", "b\0"), written: null },
  {
    name: "a value with a whole request",
    ...field("x-a", `b\r\n\r\n${SMUGGLED}\r\n`),
    written: null,
  },
  { name: "a value that ends in CRLF", ...field("x-a", "b\r\n"), written: null },
  { name: "a value that begins with CRLF", ...field("x-a", "\r\nb: c"), written: null },
  { name: "a name with CRLF", ...field("x-a: b\r\nx-c", "d"), written: null },
  { name: "a name with a colon", ...field("x-a: b", "c"), written: null },
  { name: "a name with a space", ...field("x-a ", "b"), written: null },
  { name: "a name with LF", ...field("x\n", "b"), written: null },
  { name: "a name with NUL", ...field("x\0", "b"), written: null },
  { name: "a name that is empty", ...field("", "b"), written: null },
  { name: "a pseudo-header field among fields", ...field(":path", "/b"), written: null },
  {
    name: "a name that is a coding in disguise",
    ...field("transfer-encoding ", "chunked"),
    written: null,
  },
  { name: "a method with a space", method: "GET /smuggled HTTP/1.1", written: null },
  { name: "a method with CRLF", method: "GET / HTTP/1.1\r\nX: ", written: null },
  { name: "a method that is empty", method: "", written: null },
  { name: "CONNECT", method: "CONNECT", path: "", written: null },
  { name: "a path with CRLF", path: "/ HTTP/1.1\r\nX: b\r\n", written: null },
  { name: "a path with a space", path: "/a HTTP/1.1", written: null },
  { name: "a path with LF", path: "/a\nb", written: null },
  { name: "a path with NUL", path: "/a\0", written: null },
  { name: "a path with a tab", path: "/a\tb", written: null },
  { name: "a path that is empty", path: "", written: null },
  { name: "a path without a slash", path: "a", written: null },
  { name: "a path that is absolute", path: "http://b.example/", written: null },
  { name: "an asterisk that is not for OPTIONS", path: "*", written: null },
  { name: "an authority with CRLF", authority: "a.example\r\nX: b", written: null },
  { name: "an authority with a space", authority: "a.example b", written: null },
  { name: "an authority with a path", authority: "a.example/b", written: null },
  { name: "an authority with userinfo", authority: "b@a.example", written: null },
  { name: "an upgrade with CRLF", upgrade: "websocket\r\nX: b", written: null },
  { name: "an upgrade with a list", upgrade: "websocket, h2c", written: null },
  {
    name: "an upgrade of a stream that stays open has no body",
    upgrade: "websocket",
    contentLength: -1,
    written: `${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  },
  {
    name: "a coding among the fields is not written",
    ...field("transfer-encoding", "chunked"),
    written: `${HEAD}\r\n`,
  },
  {
    name: "a length among the fields is not written beside the one that counts",
    ...field("content-length", "50"),
    contentLength: 5,
    written: `${HEAD}Content-Length: 5\r\n\r\n`,
  },
  {
    name: "Host among the fields is not written",
    ...field("host", "b.example"),
    written: `${HEAD}\r\n`,
  },
  {
    name: "Connection among the fields is not written",
    ...field("connection", "x-a"),
    written: `${HEAD}\r\n`,
  },
  {
    name: "Upgrade among the fields is not written",
    ...field("upgrade", "h2c"),
    written: `${HEAD}\r\n`,
  },
  {
    name: "TE among the fields is not written",
    ...field("te", "trailers"),
    written: `${HEAD}\r\n`,
  },
  {
    name: "Expect among the fields is not written",
    ...field("expect", "100-continue"),
    written: `${HEAD}\r\n`,
  },
  {
    name: "Keep-Alive, Proxy-Connection and HTTP2-Settings are not written",
    fields: [
      ["keep-alive", "1"],
      ["proxy-connection", "close"],
      ["http2-settings", "x"],
      ["x-a", "b"],
    ],
    written: `${HEAD}x-a: b\r\n\r\n`,
  },
  {
    name: "values beyond ASCII, and empty ones, are written as they are",
    fields: [
      ["x-a", "\xe4"],
      ["x-b", ""],
    ],
    written: `${HEAD}x-a: \xe4\r\nx-b: \r\n\r\n`,
  },
];
