// The log: pino, written to the standard error without blocking, pretty on a terminal and JSON otherwise. No transports:
// their worker threads do not survive `bun build --compile`. Called by the commands; everything else takes a Log.

import { openSync } from "node:fs";

import pino from "pino";
import { prettyFactory } from "pino-pretty";

import type { Log } from "../shared/log.ts";
import type { LogFormat, LogLevel } from "../shared/plan.ts";
import { EventRing } from "./event-ring.ts";
import { LogWriter } from "./log-writer.ts";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** With `pretty`: ANSI colours. */
  readonly colours?: boolean;
  /** A file descriptor or a path; the standard error by default. */
  readonly destination?: number | string;
}

/** The log of this process. */
export interface ProcessLog extends Log {
  /** What was a warning or worse lately, whatever the level. */
  readonly events: EventRing;
  /** Waits until every line is written. @returns false if that took longer than `timeoutMs`: nobody reads the log. */
  flush(timeoutMs: number): Promise<boolean>;
  /** What is written. */
  readonly level: LogLevel;
  /** For lines from now on. */
  setLevel(level: LogLevel): void;
}

export function createLog(options: LogOptions): ProcessLog {
  const { level, format, colours = false, destination = 2 } = options;
  const fd = typeof destination === "number" ? destination : openSync(destination, "a");
  const prettify = format === "json" ? String : prettyPrinter(colours);
  const writer = new LogWriter(fd, (count) => prettify(lostLine(count)));
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    { write: (line) => writer.write(prettify(line)) },
  );
  const events = new EventRing();
  return {
    events,
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => {
      events.add("warn", fields, message, Date.now());
      logger.warn(fields, message);
    },
    error: (fields, message) => {
      events.add("error", fields, message, Date.now());
      logger.error(fields, message);
    },
    flush: (timeoutMs) => writer.flush(timeoutMs),
    get level() {
      return logger.level as LogLevel;
    },
    setLevel: (next) => (logger.level = next),
  };
}

function lostLine(count: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: "warn", time, count, msg: "log lines were lost" })}\n`;
}

/** `12:00:00.000 INFO: listening  address=:8080 target=127.0.0.1:80` */
function prettyPrinter(colours: boolean): (line: string) => string {
  return prettyFactory({
    colorize: colours,
    hideObject: true,
    translateTime: "SYS:HH:MM:ss.l",
    customPrettifiers: { time: (time) => String(time) }, // without brackets
    messageFormat: (record, messageKey, _level, { colors }) =>
      `${record[messageKey]}${colors.gray(formatFields(record, messageKey))}`,
  });
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
