// Addresses: what a person writes (`Endpoint`: a host may be a name) and what a socket takes (`SocketAddress`: always
// numeric). Parsing is pure; names are resolved by the control plane only.

import { isIP } from "node:net";

import { ProxyError } from "./errors.ts";

/** An address as written: `host:port`, `:port`, `[::1]:port` or `unix:/path`. An empty host means every address. */
export type Endpoint =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** An address that a socket takes without any lookup. `host` is numeric, without brackets. */
export type SocketAddress =
  | { readonly kind: "ip"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** sun_path holds 108 bytes with its terminating zero (unix(7)). */
export const UNIX_PATH_MAX_BYTES = 107;

const FORMS = "Write host:port, :port, [::1]:port or unix:/path";

/**
 * Parses an address as people write it.
 * @param role `listen` allows an empty host (all addresses) and port 0 (any free port); `target` allows neither.
 * @throws ProxyError `ERR_ADDRESS`, whose message quotes the text and says the cure.
 */
export function parseEndpoint(text: string, role: "listen" | "target"): Endpoint {
  if (text.startsWith("unix:")) return parseUnixPath(text);
  if (/\$\{?\w|\{(\{|env|\$)/.test(text)) {
    const cure = "Write the value, or have envsubst write the file";
    throw bad(text, "variables are not filled in here", cure);
  }
  const [, scheme, authority = ""] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text) ?? [];
  if (scheme !== undefined) {
    throw bad(text, "it is a URL", authority === "" ? FORMS : `Write ${authority}`);
  }
  if (/^(unix\/{1,3})?\//.test(text)) {
    throw bad(
      text,
      "the path of a unix socket begins with unix:",
      `Write unix:${text.replace(/^(unix)?\/+/, "/")}`,
    );
  }
  const { host, port: portText } = splitHostPort(text, role);
  const port = parsePort(text, portText, role);
  if (host === "" && role === "target") {
    throw bad(text, "a target needs a host", `Write 127.0.0.1:${port} for this machine`);
  }
  if (host !== "" && !isIP(host) && !isHostName(host)) {
    throw bad(text, `"${host}" is neither an IP address nor a host name`, FORMS);
  }
  return { kind: "tcp", host, port };
}

function parseUnixPath(text: string): Endpoint {
  const path = text.slice("unix:".length);
  if (path === "") throw bad(text, "the path is missing", "Write unix:/run/app.sock");
  if (path.includes("\0"))
    throw bad(text, "the path holds a zero byte", "Write unix:/run/app.sock");
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_MAX_BYTES) {
    throw bad(
      text,
      `the path has ${bytes} bytes, and the system takes ${UNIX_PATH_MAX_BYTES}`,
      "Use a shorter path",
    );
  }
  return { kind: "unix", path };
}

function splitHostPort(text: string, role: "listen" | "target"): { host: string; port: string } {
  if (text.startsWith("[")) {
    const end = text.indexOf("]");
    if (end < 0) throw bad(text, "the bracket is not closed", FORMS);
    const host = text.slice(1, end);
    if (isIP(host) !== 6) throw bad(text, `"${host}" in brackets is not an IPv6 address`, FORMS);
    if (text[end + 1] !== ":") throw bad(text, "the port is missing", `Write [${host}]:8080`);
    return { host, port: text.slice(end + 2) };
  }
  const colon = text.lastIndexOf(":");
  if (colon < 0) {
    if (!/^\d+$/.test(text)) {
      throw bad(text, "the port is missing", `Write ${text || "127.0.0.1"}:8080`);
    }
    if (role === "target") throw bad(text, "the host is missing", `Write 127.0.0.1:${text}`);
    throw bad(text, "the colon is missing", `Write :${text} or 127.0.0.1:${text}`);
  }
  const host = text.slice(0, colon);
  if (host.includes(":")) {
    const port = text.slice(colon + 1);
    const whole = isIP(text) === 6 ? `Write [${text}]:8080` : FORMS;
    const cure = isIP(host) === 6 && port !== "" ? `Write [${host}]:${port}` : whole;
    throw bad(text, "an IPv6 address needs brackets before its port", cure);
  }
  return { host, port: text.slice(colon + 1) };
}

function parsePort(text: string, port: string, role: "listen" | "target"): number {
  if (!/^\d{1,5}$/.test(port)) {
    throw bad(text, `"${port}" is not a port`, "A port is a number from 1 to 65535");
  }
  const number = Number(port);
  if (number > 65535 || (number === 0 && role === "target")) {
    throw bad(text, `port ${number} is out of range`, "A port is a number from 1 to 65535");
  }
  return number;
}

/** RFC 1123 section 2.1, with the underscore that service discovery names use. */
function isHostName(host: string): boolean {
  if (host.length > 253 || /^[\d.]+$/.test(host)) return false;
  return host
    .replace(/\.$/, "")
    .split(".")
    .every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

function bad(text: string, reason: string, cure: string): ProxyError {
  return new ProxyError("ERR_ADDRESS", `"${text}" is not an address: ${reason}`, { cure });
}

/** The text that `parseEndpoint` reads back to the same value. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === "unix") return `unix:${endpoint.path}`;
  return formatHostPort(endpoint.host, endpoint.port);
}

export function formatSocketAddress(address: SocketAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return formatHostPort(address.host, address.port);
}

function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
