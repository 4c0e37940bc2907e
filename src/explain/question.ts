// What is asked: a URL, and what a client would bring besides. Pure. Called by `proxy explain` and by tests; every mistake in it
// is told at once, with what to write.

import { isIP } from "node:net";

import { formatEndpoint, parseEndpoint } from "../shared/address.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { formatIp, parseIp } from "../shared/ip.ts";

export const SCHEMES = ["http", "https", "h3", "tcp", "tls", "udp", "quic"] as const;
export type Scheme = (typeof SCHEMES)[number];

export interface Question {
  readonly scheme: Scheme;
  /** Lower case, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query as written, not made shorter as browsers do; `/` where there is none. */
  readonly path: string;
  /** Who asks, in numbers. */
  readonly client: string;
  /** The address of this machine that it comes to, in numbers; null: the host's, whatever that is. */
  readonly address: string | null;
  /** The name in the TLS handshake; null: none. */
  readonly sni: string | null;
  /** What is offered in it; null: what the listener asks for. */
  readonly alpn: readonly string[] | null;
  readonly method: string;
  /** Of the request, names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** As typed; undefined: not given. `-` for sni and alpn: none. */
export interface QuestionOptions {
  readonly client?: string | undefined;
  readonly address?: string | undefined;
  readonly sni?: string | undefined;
  readonly alpn?: string | undefined;
  readonly method?: string | undefined;
  /** `name: value` each. */
  readonly headers?: readonly string[];
}

const REQUESTS: readonly Scheme[] = ["http", "https", "h3"];
const SECURE: readonly Scheme[] = ["https", "h3", "tls", "quic"];
const DATAGRAMS: readonly Scheme[] = ["h3", "udp", "quic"];

export const isRequest = ({ scheme }: Pick<Question, "scheme">): boolean =>
  REQUESTS.includes(scheme);
export const isSecure = ({ scheme }: Pick<Question, "scheme">): boolean => SECURE.includes(scheme);
/** What it comes over. */
export const transportOf = ({ scheme }: Pick<Question, "scheme">): "tcp" | "udp" =>
  DATAGRAMS.includes(scheme) ? "udp" : "tcp";

const PORTS: Partial<Record<Scheme, number>> = { http: 80, https: 443, h3: 443 };
/** What clients of today offer. */
const ALPN: Record<Scheme, readonly string[] | null> = {
  http: [],
  https: ["h2", "http/1.1"],
  h3: ["h3"],
  tcp: [],
  tls: [],
  udp: [],
  quic: null,
};
const LOOPBACK = "127.0.0.1";
const NONE = "-";
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Fields that are of one connection, and that no route looks at (protocols/http/message/heads.ts). */
const OF_THE_CONNECTION = [
  "connection",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
];

/** @throws ProxyError ERR_USAGE with a line for each mistake. */
export function parseQuestion(url: string, options: QuestionOptions = {}): Question {
  const faults: string[] = [];
  const place = placeOf(url, faults);
  const { client, address, sni, alpn, method = "GET", headers = [] } = options;
  if (!TOKEN.test(method)) faults.push(`-method: "${method}" is no method. Write GET, for example`);
  const fields = headers.flatMap((text) => fieldOf(text, faults));
  const asked = {
    client: addressOf("client", client, faults) ?? LOOPBACK,
    address: addressOf("address", address, faults),
  };
  if (place === null) throw usage(faults);
  if (!isRequest(place)) {
    if (options.method !== undefined) faults.push(useless("-method", place.scheme, REQUESTS));
    if (headers.length > 0) faults.push(useless("-header", place.scheme, REQUESTS));
  }
  if (!isSecure(place)) {
    if (sni !== undefined) faults.push(useless("-sni", place.scheme, SECURE));
    if (alpn !== undefined) faults.push(useless("-alpn", place.scheme, SECURE));
  }
  if (faults.length > 0) throw usage(faults);
  const named = isIP(place.host) === 0 ? place.host.replace(/\.$/, "") : null;
  return {
    ...place,
    ...asked,
    method,
    fields,
    sni: !isSecure(place) || sni === NONE ? null : (sni?.toLowerCase() ?? named),
    alpn: alpn === undefined ? ALPN[place.scheme] : alpn === NONE ? [] : alpn.split(","),
  };
}

/** What stands in Host. */
export function authorityOf({ scheme, host, port, fields }: Question): string {
  const told = fields.find(([name]) => name === "host");
  if (told !== undefined) return told[1];
  if (port === PORTS[scheme]) return isIP(host) === 6 ? `[${host}]` : host;
  return formatEndpoint({ kind: "tcp", host, port });
}

/** For people: `https://a.example:8443/path`. */
export function formatUrl({ scheme, host, port, path }: Question): string {
  const authority = formatEndpoint({ kind: "tcp", host, port });
  return `${scheme}://${authority}${REQUESTS.includes(scheme) ? path : ""}`;
}

type Place = Pick<Question, "scheme" | "host" | "port" | "path">;

function placeOf(url: string, faults: string[]): Place | null {
  const parts = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^#]*)/.exec(url);
  const scheme = SCHEMES.find((known) => known === parts?.[1]?.toLowerCase());
  if (parts === null || scheme === undefined) {
    const known = SCHEMES.map((name) => `${name}://`).join(", ");
    faults.push(
      `"${url}" is not a URL that is known here. Write one of ${known} and host:port: https://a.example/path`,
    );
    return null;
  }
  const [, , authority = "", rest = ""] = parts;
  const port = PORTS[scheme];
  const hasPort = /:\d*$/.test(authority.replace(/^\[[^\]]*\]/, ""));
  if (!hasPort && port === undefined) {
    faults.push(`"${url}" has no port. Write ${scheme}://${authority || "a.example"}:8080`);
    return null;
  }
  const path = pathOf(rest);
  if (!REQUESTS.includes(scheme) && rest !== "" && rest !== "/") {
    faults.push(`"${url}" has a path, which ${scheme}:// has no use for. Leave it out`);
  }
  if (path === null) faults.push(`"${url}" has a space or a control character in its path`);
  try {
    const endpoint = parseEndpoint(hasPort ? authority : `${authority}:${port}`, "target");
    if (endpoint.kind === "unix") throw new ProxyError("ERR_USAGE", `"${url}" has no host`);
    return { scheme, host: endpoint.host.toLowerCase(), port: endpoint.port, path: path ?? "/" };
  } catch (error) {
    faults.push(messageOf(error));
    return null;
  }
}

/** @returns null if no client could send it. */
function pathOf(rest: string): string | null {
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  if (/[\0-\x20\x7f]/.test(path)) return null;
  return path.replace(/[^\0-\x7f]+/g, (text) => encodeURIComponent(text));
}

function addressOf(flag: string, text: string | undefined, faults: string[]): string | null {
  if (text === undefined) return null;
  const ip = parseIp(text.replace(/^\[(.*)\]$/, "$1"));
  if (ip !== null) return formatIp(ip);
  faults.push(`-${flag}: "${text}" is not an address. Write 192.0.2.1 or 2001:db8::1`);
  return null;
}

function fieldOf(text: string, faults: string[]): [name: string, value: string][] {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon)).trim().toLowerCase();
  const value = text.slice(colon + 1).trim();
  if (!TOKEN.test(name) || /[\0\r\n]|[^\0-\xff]/.test(value)) {
    faults.push(`-header: "${text}" is no field. Write name:value`);
  } else if (OF_THE_CONNECTION.includes(name)) {
    faults.push(`-header: no route looks at ${name}, which is of the connection. Leave it out`);
  } else if (name === "content-length" && !/^\d{1,15}$/.test(value)) {
    faults.push(`-header: "${value}" is no content-length. Write a number of bytes`);
  } else return [[name, value]];
  return [];
}

function useless(flag: string, scheme: Scheme, schemes: readonly Scheme[]): string {
  const fitting = schemes.map((name) => `${name}://`).join(", ");
  return `${flag} has no effect on ${scheme}://. It is for ${fitting}`;
}

function usage(faults: readonly string[]): ProxyError {
  return new ProxyError("ERR_USAGE", faults.join("\n"));
}
