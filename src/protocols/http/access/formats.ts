// One line of the access log for an exchange that is over. JSON: one object, in which what does not apply is left out. Combined:
// Apache's and nginx's format of this name, byte for byte, which every tool reads. Pure. Lines are Latin-1, one character for
// each byte that is to be written.
//
//   {"time":"2026-01-02T03:04:05.678Z","client":"192.0.2.7","method":"GET","host":"a.example","path":"/","protocol":"HTTP/1.1",
//    "status":200,"bytes_in":0,"bytes_out":512,"duration_ms":1.204,"connect_ms":0.211,"head_ms":1.11,"target":"10.0.0.1:80",
//    "request_id":"…","user_agent":"…","referer":"…","tls":"TLSv1.3","retries":1,"failure":"closed: …"}
//   192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 512 "referer" "user agent"
//
// `time` is the request's, times are since then. A client that left before it was answered has the status 499, as in nginx.

import type { ExchangeRecord } from "../passage.ts";
import { apacheText, jsonText } from "./quoting.ts";

/** One line, with its end. */
export type FormatLine = (record: ExchangeRecord) => string;

const CLIENT_LEFT = 499;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const PROTOCOLS = new Map([
  [10, "HTTP/1.0"],
  [11, "HTTP/1.1"],
  [20, "HTTP/2.0"],
  [30, "HTTP/3.0"],
]);

/** One for each log: the time of the last line is kept, since the next one's is mostly the same. */
export function jsonFormat(): FormatLine {
  let timeMs = -1;
  let time = "";
  return (record) => {
    const startedMs = Math.floor(record.startedMs);
    if (startedMs !== timeMs) {
      timeMs = startedMs;
      time = new Date(startedMs).toISOString();
    }
    const { connection, status, connectMs, headMs, retries } = record;
    const asked = `"method":"${jsonText(record.method)}","host":"${jsonText(record.host)}","path":"${jsonText(record.path)}"`;
    const answered = `"status":${status || CLIENT_LEFT},"bytes_in":${record.bytesUp},"bytes_out":${record.bytesDown}`;
    return (
      `{"time":"${time}","client":"${jsonText(connection.address)}",${asked},` +
      `"protocol":"${protocolOf(record.version)}",${answered},"duration_ms":${thousandths(record.totalMs)}` +
      (connectMs >= 0 ? `,"connect_ms":${thousandths(connectMs)}` : "") +
      (headMs >= 0 ? `,"head_ms":${thousandths(headMs)}` : "") +
      member("target", record.target) +
      member("request_id", record.requestId) +
      member("user_agent", record.userAgent) +
      member("referer", record.referer) +
      (connection.tls === null ? "" : member("tls", connection.tls.version)) +
      (retries > 0 ? `,"retries":${retries}` : "") +
      member("failure", record.failure) +
      "}\n"
    );
  };
}

function member(name: string, value: string): string {
  return value === "" ? "" : `,"${name}":"${jsonText(value)}"`;
}

function thousandths(ms: number): number {
  return Math.round(Math.max(0, ms) * 1_000) / 1_000;
}

export function combinedFormat(): FormatLine {
  let timeSeconds = -1;
  let time = "";
  return (record) => {
    const seconds = Math.floor(record.startedMs / 1_000);
    if (seconds !== timeSeconds) {
      timeSeconds = seconds;
      time = clfTime(new Date(seconds * 1_000));
    }
    const client = apacheText(record.connection.address || "-");
    const asked = `${apacheText(record.method)} ${apacheText(record.path)} ${protocolOf(record.version)}`;
    const from = `"${apacheText(record.referer || "-")}" "${apacheText(record.userAgent || "-")}"`;
    return `${client} - - [${time}] "${asked}" ${record.status || CLIENT_LEFT} ${record.bytesDown} ${from}\n`;
  };
}

/** `02/Jan/2026:03:04:05 +0000` */
function clfTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  const hours = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  return `${day}:${hours}:${two(date.getUTCSeconds())} +0000`;
}

function protocolOf(version: number): string {
  return PROTOCOLS.get(version) ?? "HTTP/1.1";
}
