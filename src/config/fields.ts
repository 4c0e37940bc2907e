// The schema's building blocks: scalars that are checked and converted in one step, each with what an editor shows.
// Invariant: a value that passes is already what the plan needs (milliseconds, bytes, parsed addresses).

import { z } from "zod";

import { type Endpoint, parseEndpoint } from "../shared/address.ts";
import { ProxyError } from "../shared/errors.ts";
import { parseAddressBlock } from "../shared/ip.ts";
import { parseTarget, type Target, TARGET_SCHEMES } from "./target.ts";
import {
  formatDuration,
  formatSize,
  parseByteRate,
  parseDuration,
  parseEventRate,
  parsePercent,
  parseSize,
} from "./units.ts";

/** JSON Schema keywords of a field: what editors complete and document. */
interface Shown {
  description: string;
  [keyword: string]: unknown;
}

interface Bounds {
  min?: number;
  max?: number;
  default?: string | number;
  /** 0 is not a length, it turns the thing off. */
  zeroIsOff?: boolean;
}

/** A scalar that `parse` reads. ProxyErrors become issues at the value's place; missing and non-scalar values never reach it. */
export function scalar<T>(
  parse: (value: string | number) => T,
  takes: "text" | "text or number" | "text, number or switch",
  shown: Shown,
) {
  return z
    .custom<unknown>(() => true)
    .transform((value, context): T => {
      const fits =
        typeof value === "string" ||
        (typeof value === "number" && takes !== "text") ||
        (typeof value === "boolean" && takes === "text, number or switch");
      if (!fits) {
        context.issues.push({ code: "invalid_type", expected: "string", input: value });
        return z.NEVER;
      }
      try {
        return parse(value as string | number);
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        context.issues.push({ code: "custom", message: error.message, input: value });
        return z.NEVER;
      }
    })
    .meta(shown);
}

function within(
  value: number,
  { min = 0, max }: Bounds,
  written: unknown,
  show: (value: number) => string,
): number {
  if (value < min)
    throw new ProxyError("ERR_CONFIG", `"${written}" is too little. Write at least ${show(min)}`);
  if (max !== undefined && value > max) {
    throw new ProxyError("ERR_CONFIG", `"${written}" is too much. Write at most ${show(max)}`);
  }
  return value;
}

const stated = (bounds: Bounds): object =>
  bounds.default === undefined ? {} : { default: bounds.default };

const SWITCH = /^(true|false|on|off|yes|no|none|never)$/i;

/** A bound as people say it: 596h rather than 596h31m23s647ms. What is rounded stays within the bound. */
function roundDuration(ms: number): string {
  const unit = [3_600_000, 60_000, 1_000].find((length) => ms >= 10 * length) ?? 1;
  const days = Math.floor(ms / 86_400_000);
  const shown = formatDuration(Math.floor(ms / unit) * unit);
  return days < 2 ? shown : `${shown}, which is ${days} days`;
}

/** Milliseconds, written `500ms`, `5s`, `10m`, `1h`. */
export function duration(description: string, bounds: Bounds = {}) {
  return scalar(
    (value) => {
      if (bounds.zeroIsOff === true && SWITCH.test(String(value))) {
        throw new ProxyError("ERR_CONFIG", `expected a duration, found ${value}`, {
          cure: "Write for example 30s; 0 turns it off",
        });
      }
      return within(parseDuration(value as string | number), bounds, value, roundDuration);
    },
    bounds.zeroIsOff === true ? "text, number or switch" : "text or number",
    {
      description: `${description} A duration: 500ms, 5s, 10m, 1h.`,
      ...stated(bounds),
      anyOf: [{ type: "string", pattern: "^(\\d+(\\.\\d+)?(ms|s|m|h))+$" }, { const: 0 }],
    },
  );
}

/** Bytes, written `64KB`, `1MB` or plain. */
export function size(description: string, bounds: Bounds = {}) {
  return scalar((value) => within(parseSize(value), bounds, value, formatSize), "text or number", {
    description: `${description} A size: bytes, or 64KB, 1MB, 1GB (powers of two).`,
    ...stated(bounds),
    anyOf: [
      { type: "string", pattern: "^\\d+(\\.\\d+)? ?([kKmMgG]([iI]?[bB])?|[bB])?$" },
      { type: "integer", minimum: 0 },
    ],
  });
}

/** Events per second, written `1000/s`. */
export function eventRate(description: string) {
  return scalar(
    (value) => within(parseEventRate(value), { min: 1 }, value, (n) => `${n}/s`),
    "text or number",
    {
      description: `${description} A rate: 1000/s.`,
      type: "string",
      pattern: "^\\d+/s$",
    },
  );
}

/** Bytes per second, written `100MB/s`. */
export function byteRate(description: string, bounds: Bounds = {}) {
  const min = bounds.zeroIsOff === true ? 0 : 1;
  const read = (value: string | number): number =>
    min === 0 && String(value) === "0" ? 0 : parseByteRate(value);
  const pattern = "^\\d+(\\.\\d+)? ?([kKmMgG]([iI]?[bB])?|[bB])?/s$";
  return scalar(
    (value) => within(read(value), { min }, value, (n) => `${formatSize(n)}/s`),
    "text or number",
    {
      description: `${description} A rate in bytes: 100MB/s.`,
      ...stated(bounds),
      ...(min === 0
        ? { anyOf: [{ type: "string", pattern }, { const: 0 }] }
        : { type: "string", pattern }),
    },
  );
}

/** A part of all, written `50%`. */
export function percent(description: string, fallback: string) {
  return scalar((value) => parsePercent(value), "text or number", {
    description: `${description} A percentage: 50%.`,
    default: fallback,
    anyOf: [{ type: "string", pattern: "^\\d+(\\.\\d+)? ?%$" }, { const: 0 }],
  });
}

/** Other programs' ways of writing an address are refused with ours. @throws ProxyError ERR_ADDRESS. */
function parseListen(written: string): Endpoint {
  const [, rest] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(written) ?? [];
  if (rest !== undefined) {
    const address = /:\d+$/.test(rest) ? rest : `${rest || "127.0.0.1"}:8080`;
    throw new ProxyError("ERR_ADDRESS", `"${written}" is a URL, and a listener has an address`, {
      cure: `Write ${address.replace(/^\*:/, ":")}`,
    });
  }
  if (/^\*:\d+$/.test(written)) {
    throw new ProxyError("ERR_ADDRESS", `"${written}" is not an address: "*" is no host`, {
      cure: `Write ${written.slice(1)}`,
    });
  }
  return parseEndpoint(written, "listen");
}

/** Where to listen. A bare port is refused with the text to write instead. */
export function listenAddress(description: string) {
  // Numbers are let in for the sake of the message: `listen: 8080` is the commonest mistake.
  return scalar((value) => parseListen(String(value)), "text or number", {
    description: `${description} host:port, :port for every address, [::1]:port or unix:/path.`,
    type: "string",
    pattern: "^(unix:.+|.*:\\d{1,5})$",
    examples: [":8080", "127.0.0.1:8080", "[::1]:8080", "unix:/run/proxy.sock"],
  });
}

/** Where to forward to. */
export function targetAddress(description: string) {
  return scalar((value): Target => parseTarget(String(value)), "text or number", {
    description: `${description} host:port or unix:/path; requests also take ${TARGET_SCHEMES.join(", ")} URLs.`,
    type: "string",
    pattern: "^(unix:.+|.+:\\d{1,5}|[A-Za-z0-9]+://.+)$",
    examples: ["127.0.0.1:80", "unix:/run/app.sock", "http://127.0.0.1:3000"],
  });
}

/** An address block, `10.0.0.0/8`, or one address. */
export function addressBlock() {
  return scalar(
    (value): string => {
      parseAddressBlock(String(value));
      return String(value);
    },
    "text",
    { description: "An IP address or a block: 10.0.0.0/8, ::1.", type: "string" },
  );
}

/** A switch in the seed's manner: the words "true" and "false", quoted or not. */
export function quotedBoolean(description: string) {
  return z
    .literal(["true", "false", "", true, false])
    .transform((value) => value === true || value === "true")
    .meta({ description, default: "false" });
}

/** A whole number. */
export function count(description: string, min: number, max: number, fallback?: number) {
  const shown = fallback === undefined ? { description } : { description, default: fallback };
  return z.int().min(min).max(max).meta(shown);
}

export function text(description: string, shown: object = {}) {
  return z
    .string()
    .min(1)
    .meta({ description, ...shown });
}

export function flag(description: string, fallback: boolean) {
  return z.boolean().meta({ description, default: fallback });
}

export function choice<const T extends readonly string[]>(
  values: T,
  description: string,
  fallback?: T[number],
) {
  const shown = fallback === undefined ? { description } : { description, default: fallback };
  return z.enum(values).meta(shown);
}
