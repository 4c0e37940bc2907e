// What a case of request smuggling is: bytes that two programs could take for two different things, and the one thing that this
// proxy makes of them. Pure data, so that the same cases run through the codec and through the whole proxy.

/** What must become of the bytes. Nothing else may reach a backend. */
export interface Expected {
  /** Requests that reach the backend whole, one after the other, byte for byte. Default none. */
  readonly forwarded?: readonly string[];
  /** Of a request that is refused within its body: what reaches the backend of it, before its connection is reset. */
  readonly cut?: string;
  /** Status of the refusal, behind which the connection ends. Left out: nothing is refused. */
  readonly status?: number;
}

/** `name` is a sentence; the bytes are Latin-1. */
export interface SmugglingCase extends Expected {
  readonly name: string;
  readonly bytes: string;
}

/** What an attacker wants a backend to see as a request of its own. */
export const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

const CRLF = "\r\n";

/** A request with these lines behind Host, and a body. */
export function request(line: string, lines: readonly string[] = [], body = ""): string {
  return [line, "Host: a.example", ...lines, "", ""].join(CRLF) + body;
}

export function post(lines: readonly string[], body = ""): string {
  return request("POST / HTTP/1.1", lines, body);
}

export function get(lines: readonly string[] = []): string {
  return request("GET / HTTP/1.1", lines);
}

/** One case for each name and field lines, all refused alike. */
export function refusedPosts(
  status: number,
  body: string,
  cases: readonly (readonly [name: string, ...lines: string[]])[],
): SmugglingCase[] {
  return cases.map(([name, ...lines]) => ({ name, bytes: post(lines, body), status }));
}
