// The line of version 1 (proxy-protocol.txt section 2.1). Nothing but the exact form passes; called by parse.ts.
//
//   PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n
//   PROXY UNKNOWN …ignored…\r\n

import { isIP } from "node:net";

import { parseIp } from "../../shared/ip.ts";
import type { Endpoints, Peer } from "../peer.ts";
import { invalid, MORE, type ProxyHeader, type ProxyOutcome, V1_MAX_BYTES } from "./header.ts";

const PREFIX = "PROXY ";
const CR = 13;
const LF = 10;

/** @param bytes what the client has sent so far. */
export function parseV1(bytes: Uint8Array): ProxyOutcome {
  const seen = Math.min(bytes.length, V1_MAX_BYTES);
  for (let i = 0; i < Math.min(seen, PREFIX.length); i++) {
    if (bytes[i] !== PREFIX.charCodeAt(i)) return invalid("it does not begin with a PROXY header");
  }
  let end = PREFIX.length;
  while (end < seen && bytes[end] !== CR && bytes[end] !== LF) end++;
  // The line feed is the last byte that still may belong to the line.
  if (end >= V1_MAX_BYTES - 1) return invalid(`its line has more than ${V1_MAX_BYTES} bytes`);
  if (end >= seen) return MORE;
  if (bytes[end] === LF) return invalid("its line ends without CR");
  if (end + 1 === bytes.length) return MORE;
  if (bytes[end + 1] !== LF) return invalid("its line has a CR that no LF follows");
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1", PREFIX.length);
  return parseLine(line, end + 2);
}

function parseLine(line: string, length: number): ProxyOutcome {
  if (line === "UNKNOWN" || line.startsWith("UNKNOWN ")) return header(null, length);
  const [protocol = "", from = "", to = "", fromPort = "", toPort = "", ...rest] = line.split(" ");
  const family = protocol === "TCP4" ? 4 : protocol === "TCP6" ? 6 : 0;
  if (family === 0) return invalid("its protocol is none of TCP4, TCP6 and UNKNOWN");
  if (rest.length > 0) return invalid("its line has too many fields");
  const source = parsePeer(from, fromPort, family);
  const destination = parsePeer(to, toPort, family);
  if (source === null || destination === null) {
    return invalid(`its line has an address or port that is not one of ${protocol}`);
  }
  return header({ source, destination }, length);
}

function parsePeer(host: string, portText: string, family: 4 | 6): Peer | null {
  if (isIP(host) !== family || host.includes("%")) return null;
  if (!/^(0|[1-9]\d{0,4})$/.test(portText)) return null;
  const port = Number(portText);
  return port > 65535 ? null : { kind: "ip", ip: parseIp(host)!, port };
}

function header(endpoints: Endpoints | null, length: number): ProxyOutcome {
  const said: ProxyHeader = {
    version: 1,
    command: "PROXY",
    endpoints,
    alpn: null,
    authority: null,
    uniqueId: null,
  };
  return { type: "header", header: said, length };
}
