// One line of the access log for an exchange that is over. JSON: one object, in which what does not apply is left out. Combined:
// Apache's and nginx's format of this name, byte for byte, which every tool reads. Pure.
//
//   {"time":"2026-01-02T03:04:05.678Z","client":"192.0.2.7","method":"GET","host":"a.example","path":"/","protocol":"HTTP/1.1",
//    "status":200,"bytes_in":0,"bytes_out":512,"duration_ms":1.204,"connect_ms":0.211,"head_ms":1.110,"target":"10.0.0.1:80",
//    "request_id":"…","user_agent":"…","referer":"…","tls":"TLSv1.3","retries":1,"failure":"closed: …"}
//   192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 512 "referer" "user agent"
//
// `time` is the request's, times are since then. A client that left before it was answered has the status 499, as in nginx.

import type { ExchangeRecord } from "../passage.ts";
import type { LineBuffer } from "./line-buffer.ts";

/** Writes one line, with its end. */
export type WriteLine = (line: LineBuffer, record: ExchangeRecord) => void;

const CLIENT_LEFT = 499;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const PROTOCOLS = new Map([
  [10, "HTTP/1.0"],
  [11, "HTTP/1.1"],
  [20, "HTTP/2.0"],
  [30, "HTTP/3.0"],
]);

/** One for each log: the time of the last line is kept, since the next one's is mostly the same. */
export function jsonFormat(): WriteLine {
  let timeMs = -1;
  let time = "";
  return (line, record) => {
    const startedMs = Math.floor(record.startedMs);
    if (startedMs !== timeMs) {
      timeMs = startedMs;
      time = `{"time":"${new Date(startedMs).toISOString()}","client":"`;
    }
    line.plain(time);
    line.json(record.connection.address);
    line.plain('","method":"');
    line.json(record.method);
    line.plain('","host":"');
    line.json(record.host);
    line.plain('","path":"');
    line.json(record.path);
    line.plain('","protocol":"');
    line.plain(protocolOf(record.version));
    line.plain('","status":');
    line.integer(record.status || CLIENT_LEFT);
    line.plain(',"bytes_in":');
    line.integer(record.bytesUp);
    line.plain(',"bytes_out":');
    line.integer(record.bytesDown);
    line.plain(',"duration_ms":');
    line.thousandths(record.totalMs);
    if (record.connectMs >= 0) {
      line.plain(',"connect_ms":');
      line.thousandths(record.connectMs);
    }
    if (record.headMs >= 0) {
      line.plain(',"head_ms":');
      line.thousandths(record.headMs);
    }
    text(line, ',"target":"', record.target);
    text(line, ',"request_id":"', record.requestId);
    text(line, ',"user_agent":"', record.userAgent);
    text(line, ',"referer":"', record.referer);
    text(line, ',"tls":"', record.connection.tls?.version ?? "");
    if (record.retries > 0) {
      line.plain(',"retries":');
      line.integer(record.retries);
    }
    text(line, ',"failure":"', record.failure);
    line.plain("}\n");
  };
}

function text(line: LineBuffer, before: string, value: string): void {
  if (value === "") return;
  line.plain(before);
  line.json(value);
  line.plain('"');
}

export function combinedFormat(): WriteLine {
  let timeSeconds = -1;
  let time = "";
  return (line, record) => {
    const seconds = Math.floor(record.startedMs / 1_000);
    if (seconds !== timeSeconds) {
      timeSeconds = seconds;
      time = ` - - [${clfTime(new Date(seconds * 1_000))}] "`;
    }
    line.apache(record.connection.address || "-");
    line.plain(time);
    line.apache(record.method);
    line.plain(" ");
    line.apache(record.path);
    line.plain(" ");
    line.plain(protocolOf(record.version));
    line.plain('" ');
    line.integer(record.status || CLIENT_LEFT);
    line.plain(" ");
    line.integer(record.bytesDown);
    line.plain(' "');
    line.apache(record.referer || "-");
    line.plain('" "');
    line.apache(record.userAgent || "-");
    line.plain('"\n');
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
