// Request lines, targets, Host and the ends of lines: where a request begins, and whom it is for.

import { get, request, SMUGGLED, type SmugglingCase } from "./case.ts";

function refused(name: string, bytes: string, status = 400): SmugglingCase {
  return { name, bytes: bytes + SMUGGLED, status };
}

/** A head of lines as they are. */
function head(...lines: string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

const HOST = "Host: a.example";
const FIRST = "GET / HTTP/1.1";

const REQUEST_LINES: readonly SmugglingCase[] = [
  refused("a request line that ends in a bare LF", `${FIRST}\n${HOST}\r\n\r\n`),
  refused("a request line that ends in a bare CR", `${FIRST}\r${HOST}\r\n\r\n`),
  refused("a head that ends in bare LFs", `${FIRST}\n${HOST}\n\n`),
  refused("a head whose last line is a bare LF", `${FIRST}\r\n${HOST}\r\n\n`),
  refused("a head whose last line is a bare CR", `${FIRST}\r\n${HOST}\r\n\rx`),
  refused("two empty lines before the request line", `\r\n\r\n${get()}`),
  refused("an empty line of a bare LF before the request line", `\n${get()}`),
  refused("a space before the method", ` ${get()}`),
  refused("two spaces behind the method", head("GET  / HTTP/1.1", HOST)),
  refused("a tab behind the method", head("GET\t/ HTTP/1.1", HOST)),
  refused("two spaces behind the target", head("GET /  HTTP/1.1", HOST)),
  refused("a space behind the version", head("GET / HTTP/1.1 ", HOST)),
  refused("a target with a space", head("GET /a b HTTP/1.1", HOST)),
  refused("a target with a tab", head("GET /a\tb HTTP/1.1", HOST)),
  refused("a target with a NUL", head("GET /a\0b HTTP/1.1", HOST)),
  refused("a target with a bare CR and a line", head("GET /a\rX: b HTTP/1.1", HOST)),
  refused("a target with a DEL", head("GET /a\x7f HTTP/1.1", HOST)),
  refused("a target with a fragment", head("GET /a#b HTTP/1.1", HOST)),
  refused("a target that is empty", head("GET  HTTP/1.1", HOST)),
  refused("a target without a slash", head("GET a HTTP/1.1", HOST)),
  refused("an asterisk that is not for OPTIONS", head("GET * HTTP/1.1", HOST)),
  refused("an asterisk with more", head("OPTIONS *a HTTP/1.1", HOST)),
  refused("an authority that is not for CONNECT", head("GET a.example:80 HTTP/1.1", HOST)),
  refused("CONNECT with a path", head("CONNECT /a HTTP/1.1", HOST)),
  refused("CONNECT without a port", head("CONNECT a.example HTTP/1.1", HOST)),
  refused(
    "CONNECT with a length",
    head("CONNECT a.example:80 HTTP/1.1", HOST, "Content-Length: 5"),
  ),
  refused("CONNECT with chunks", head("CONNECT a:80 HTTP/1.1", HOST, "Transfer-Encoding: chunked")),
  refused("a method with a colon", head("GET: / HTTP/1.1", HOST)),
  refused("a method with an octet beyond ASCII", head("G\xcbT / HTTP/1.1", HOST)),
  refused("a method with a slash", head("GET/ / HTTP/1.1", HOST)),
  refused("a method of a thousand letters", head(`${"A".repeat(1_000)} / HTTP/1.1`, HOST), 501),
  refused("HTTP/0.9", "GET /\r\n"),
  refused("HTTP/1.2", head("GET / HTTP/1.2", HOST), 505),
  refused("HTTP/2.0 without a preface", head("GET / HTTP/2.0", HOST), 505),
  refused("HTTP/2's preface in the middle of a connection", head("PRI * HTTP/2.0"), 505),
  refused("HTTP/0.1", head("GET / HTTP/0.1", HOST), 505),
  refused("a version of two digits", head("GET / HTTP/1.10", HOST)),
  refused("a version with a leading zero", head("GET / HTTP/01.1", HOST)),
  refused("a version with a sign", head("GET / HTTP/+1.1", HOST)),
  refused("a version in lower case", head("GET / http/1.1", HOST)),
  refused("a version without a minor", head("GET / HTTP/1", HOST)),
  refused("another protocol", head("GET / ICAP/1.0", HOST)),
  {
    name: "one empty line before the request line is skipped",
    bytes: `\r\n${get()}\r\n${get(["X-Last: 1"])}`,
    forwarded: [get(), get(["X-Last: 1"])],
  },
  {
    name: "methods are case-sensitive, and passed on as they came",
    bytes: request("get /a HTTP/1.1") + request("M-SEARCH /b HTTP/1.1"),
    forwarded: [request("get /a HTTP/1.1"), request("M-SEARCH /b HTTP/1.1")],
  },
  {
    name: "HTTP/1.0 becomes HTTP/1.1 towards the backend",
    bytes: request("GET /a HTTP/1.0", ["Connection: keep-alive"]) + SMUGGLED,
    forwarded: [request("GET /a HTTP/1.1"), SMUGGLED],
  },
  {
    name: "what follows HTTP/1.0 that does not keep its connection is not read",
    bytes: request("GET /a HTTP/1.0") + SMUGGLED,
    forwarded: [request("GET /a HTTP/1.1")],
  },
];

const HOSTS: readonly SmugglingCase[] = [
  refused("no Host", head(FIRST, "X-A: b")),
  refused("no field at all", head(FIRST)),
  refused("two Hosts", head(FIRST, HOST, "Host: b.example")),
  refused("two Hosts that are the same", head(FIRST, HOST, HOST)),
  refused("two Hosts in HTTP/1.0", head("GET / HTTP/1.0", HOST, "Host: b.example")),
  refused("an empty Host", head(FIRST, "Host:")),
  refused("a Host of a port alone", head(FIRST, "Host: :80")),
  refused("a Host with userinfo", head(FIRST, "Host: a.example@b.example")),
  refused("a Host with a path", head(FIRST, "Host: a.example/b")),
  refused("a Host with a query", head(FIRST, "Host: a.example?b")),
  refused("a Host with a fragment", head(FIRST, "Host: a.example#b")),
  refused("a Host with a backslash", head(FIRST, "Host: a.example\\b")),
  refused("a Host with a space", head(FIRST, "Host: a.example b.example")),
  refused("a Host with a tab", head(FIRST, "Host: a.example\tb")),
  refused("a Host with a NUL", head(FIRST, "Host: a.example\0")),
  refused("a Host with a scheme", head(FIRST, "Host: http://a.example")),
  refused("a Host with two ports", head(FIRST, "Host: a.example:80:81")),
  refused("a Host with a port of letters", head(FIRST, "Host: a.example:http")),
  refused("a Host with a negative port", head(FIRST, "Host: a.example:-80")),
  refused("a Host with a port of six digits", head(FIRST, "Host: a.example:808080")),
  refused("a Host beyond ASCII", head(FIRST, "Host: a\xe9.example")),
  refused("a Host with brackets and no address", head(FIRST, "Host: []")),
  refused("a Host with an open bracket", head(FIRST, "Host: [::1")),
  refused("a Host with a name in brackets", head(FIRST, "Host: [a.example]")),
  refused("a Host with more behind its bracket", head(FIRST, "Host: [::1]a")),
  refused("a space before the colon of Host", head(FIRST, "Host : a.example")),
  refused("a Host in a folded line", head(FIRST, "Host:", " a.example")),
  refused("a fold as the first field", head(FIRST, " Host: a.example", HOST)),
  refused("an absolute target without Host", head("GET http://a.example/ HTTP/1.1")),
  refused(
    "an absolute target with two Hosts",
    head("GET http://a/ HTTP/1.1", "Host: a", "Host: b"),
  ),
  refused(
    "an absolute target with a Host that is malformed",
    head("GET http://a/ HTTP/1.1", "Host: a b"),
  ),
  refused("an absolute target with userinfo", head("GET http://b@a.example/ HTTP/1.1", HOST)),
  refused("an absolute target without an authority", head("GET http:///a HTTP/1.1", HOST)),
  refused("an absolute target of another scheme", head("GET ftp://a.example/ HTTP/1.1", HOST)),
  refused(
    "an absolute target with a backslash in its authority",
    head("GET http://a\\b/ HTTP/1.1", HOST),
  ),
  refused("an absolute target with a fragment", head("GET http://a.example/#b HTTP/1.1", HOST)),
  refused("a target of a scheme alone", head("GET http: HTTP/1.1", HOST)),
  {
    name: "the authority of an absolute target wins over Host",
    bytes: head("GET http://b.example:8080/c?d HTTP/1.1", HOST),
    forwarded: [head("GET /c?d HTTP/1.1", "Host: b.example:8080")],
  },
  {
    name: "an absolute target without a path asks for `/`",
    bytes: head("GET http://b.example HTTP/1.1", HOST) + head("GET HTTPS://b?c=d HTTP/1.1", HOST),
    forwarded: [head("GET / HTTP/1.1", "Host: b.example"), head("GET /?c=d HTTP/1.1", "Host: b")],
  },
  {
    name: "an absolute target of OPTIONS without a path is the asterisk",
    bytes: head("OPTIONS http://b.example HTTP/1.1", HOST) + head("OPTIONS * HTTP/1.1", HOST),
    forwarded: [head("OPTIONS * HTTP/1.1", "Host: b.example"), head("OPTIONS * HTTP/1.1", HOST)],
  },
  {
    name: "a target that begins with two slashes is a path",
    bytes: head("GET //b.example/c HTTP/1.1", HOST),
    forwarded: [head("GET //b.example/c HTTP/1.1", HOST)],
  },
  {
    name: "Host comes first, wherever it stood, and in one form",
    bytes: head(FIRST, "X-A: b", "hOST:\t a.example \t", "X-C: d"),
    forwarded: [head(FIRST, HOST, "X-A: b", "X-C: d")],
  },
  {
    name: "a name that only looks like Host where `_` stands for `-` is another field",
    bytes: head(FIRST, HOST, "X_Host: b.example", "Ho_st: c"),
    forwarded: [head(FIRST, HOST, "X_Host: b.example", "Ho_st: c")],
  },
];

const FIELD_LINES: readonly SmugglingCase[] = [
  refused("a field name with a space before its colon", head(FIRST, HOST, "X-A : b")),
  refused("a field without a colon", head(FIRST, HOST, "X-A")),
  refused("a field with an empty name", head(FIRST, HOST, ": b")),
  refused("a field name with a comma", head(FIRST, HOST, "X,A: b")),
  refused("a field name with a quote", head(FIRST, HOST, 'X"A: b')),
  refused("a field name with an octet beyond ASCII", head(FIRST, HOST, "X\xe4: b")),
  refused("a field value with a bare CR", head(FIRST, HOST, "X-A: b\rc")),
  refused("a field value with a bare LF", head(FIRST, HOST, "X-A: b\nc: d")),
  refused("a field value with a NUL", head(FIRST, HOST, "X-A: b\0c")),
  refused("a field value with an escape", head(FIRST, HOST, "X-A: \x1b[0m")),
  refused("a field value that is folded", head(FIRST, HOST, "X-A: b", " c")),
  refused("a field value that is folded by a tab", head(FIRST, HOST, "X-A: b", "\tc")),
  refused("a fold of nothing", head(FIRST, HOST, "X-A: b", " ")),
  refused("a CR CR LF at a line's end", `${FIRST}\r\n${HOST}\r\r\nX-A: b\r\n\r\n`),
  refused("an LF CR at a line's end", `${FIRST}\r\n${HOST}\n\rX-A: b\r\n\r\n`),
  {
    name: "octets beyond ASCII, empty values and odd names are passed on as they are",
    bytes: head(FIRST, HOST, "X-A: \xe4\xff", "X-B:", "!#$%&'*+-.^_`|~09az: c"),
    forwarded: [head(FIRST, HOST, "X-A: \xe4\xff", "X-B: ", "!#$%&'*+-.^_`|~09az: c")],
  },
  {
    name: "white space around values is taken off, and that within them kept",
    bytes: head(FIRST, HOST, "X-A:b", "X-B: \t c \t d \t "),
    forwarded: [head(FIRST, HOST, "X-A: b", "X-B: c \t d")],
  },
];

export const LINES: readonly SmugglingCase[] = [...REQUEST_LINES, ...HOSTS, ...FIELD_LINES];
