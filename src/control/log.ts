// The log: pino, written synchronously to the standard error, pretty on a terminal and JSON otherwise. No transports:
// their worker threads do not survive `bun build --compile`. Called by the commands; everything else takes a Log.

import pino from "pino";
import { prettyFactory } from "pino-pretty";

import type { Log } from "../shared/log.ts";
import type { LogFormat, LogLevel } from "../shared/plan.ts";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** With `pretty`: ANSI colours. */
  readonly colours?: boolean;
  /** A file descriptor or a path; the standard error by default. */
  readonly destination?: number | string;
}

export function createLog(options: LogOptions): Log {
  const { level, format, colours = false, destination = 2 } = options;
  const out = pino.destination({ dest: destination, sync: true });
  // Whoever read the log is gone (EPIPE) or its disk is full: forwarding goes on without it.
  out.on("error", () => {});
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    format === "json" ? out : prettyStream(out, colours),
  );
}

/** `12:00:00.000 INFO: listening  address=:8080 target=127.0.0.1:80` */
function prettyStream(
  out: { write(text: string): unknown },
  colours: boolean,
): pino.DestinationStream {
  const prettify = prettyFactory({
    colorize: colours,
    hideObject: true,
    translateTime: "SYS:HH:MM:ss.l",
    customPrettifiers: { time: (time) => String(time) }, // without brackets
    messageFormat: (record, messageKey, _level, { colors }) =>
      `${record[messageKey]}${colors.gray(formatFields(record, messageKey))}`,
  });
  return { write: (line) => void out.write(prettify(line)) };
}

function formatFields(record: Record<string, unknown>, messageKey: string): string {
  let text = "";
  for (const [key, value] of Object.entries(record)) {
    if (key === "level" || key === "time" || key === messageKey) continue;
    const plain = typeof value === "string" && value !== "" && !/[\s"]/.test(value);
    text += `${text === "" ? "  " : " "}${key}=${plain ? value : JSON.stringify(value)}`;
  }
  return text;
}
