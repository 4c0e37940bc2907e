// The grammar of what a process may hold, and how late its workers may be, before new work is turned away. Part of schema.ts.

import { z } from "zod";

import { ProxyError } from "../shared/errors.ts";
import { OVERLOAD_BOUNDS, OVERLOAD_DEFAULTS } from "../shared/limits.ts";
import { scalar } from "./fields.ts";
import {
  formatDuration,
  formatPercent,
  formatSize,
  parseDuration,
  parsePercent,
  parseSize,
} from "./units.ts";

/** `off`, as YAML 1.1 and 1.2 read it, and 0. */
const OFF = /^(off|false|0)$/i;
const DURATION = "^(\\d+(\\.\\d+)?(ms|s|m|h))+$";
const SIZE = "^\\d+(\\.\\d+)? ?([kKmMgG]([iI]?[bB])?|[bB])?$";
const PERCENT = "^\\d+(\\.\\d+)? ?%$";

/** A ceiling that can be turned off. @returns what `read` makes of it, or null. */
function ceiling<T>(
  description: string,
  fallback: string,
  patterns: readonly string[],
  read: (value: string | number) => T,
) {
  return scalar(
    (value): T | null => (OFF.test(String(value)) ? null : read(value)),
    "text, number or switch",
    {
      description: `${description} off, or 0: none.`,
      default: fallback,
      anyOf: [
        ...patterns.map((pattern) => ({ type: "string", pattern })),
        { enum: ["off", false, 0] },
      ],
    },
  );
}

/** Part of a whole, 0 to 1. */
function share(value: string | number): number {
  const part = parsePercent(value);
  if (part < OVERLOAD_BOUNDS.shareMin)
    throw tooLittle(value, formatPercent(OVERLOAD_BOUNDS.shareMin));
  return part;
}

function lagOf(value: string | number): number {
  const ms = parseDuration(value);
  if (ms < OVERLOAD_BOUNDS.lagMinMs)
    throw tooLittle(value, formatDuration(OVERLOAD_BOUNDS.lagMinMs));
  if (ms > OVERLOAD_BOUNDS.lagMaxMs) throw tooMuch(value, formatDuration(OVERLOAD_BOUNDS.lagMaxMs));
  return ms;
}

function memoryOf(value: string | number): { share: number } | { bytes: number } {
  if (/%\s*$/.test(String(value))) return { share: share(value) };
  const bytes = parseSize(value);
  if (bytes <= 100) throw new ProxyError("ERR_CONFIG", `"${value}" is no size. Write ${bytes}%`);
  const min = OVERLOAD_BOUNDS.memoryMin;
  if (bytes < min) throw tooLittle(value, formatSize(min));
  return { bytes };
}

const tooMuch = (value: string | number, most: string): ProxyError =>
  new ProxyError("ERR_CONFIG", `"${value}" is too much. Write at most ${most}`);
const tooLittle = (value: string | number, least: string): ProxyError =>
  new ProxyError("ERR_CONFIG", `"${value}" is too little. Write at least ${least}`);

export const overload = z
  .strictObject({
    lag: ceiling(
      "How late a worker may be, for more than a moment; then it turns new work away itself.",
      formatDuration(OVERLOAD_DEFAULTS.lagMs),
      [DURATION],
      lagOf,
    ),
    memory: ceiling(
      "What the process may hold: a part of what its container, or the machine, has, or a size.",
      formatPercent(OVERLOAD_DEFAULTS.memoryShare),
      [PERCENT, SIZE],
      memoryOf,
    ),
    descriptors: ceiling(
      "How many of the descriptors that the process may open are to be taken.",
      formatPercent(OVERLOAD_DEFAULTS.descriptorsShare),
      [PERCENT],
      share,
    ),
  })
  .partial()
  .meta({
    description:
      "Beyond these, new work is turned away, so that what is under way goes on: more of it the further beyond.",
  });
