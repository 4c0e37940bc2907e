// Durations, sizes and rates as people write them, and back. Pure; format and parse are inverse to each other.
// Called by the schema's fields, and by whatever prints a plan.

import { ProxyError } from "../shared/errors.ts";

const DURATION_UNITS = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const SIZE_UNITS = [
  ["GB", 1024 ** 3],
  ["MB", 1024 ** 2],
  ["KB", 1024],
] as const;

const DURATION_CURE = "Write a number and its unit: 500ms, 5s, 10m or 1h";
const SIZE_CURE = "Write a number of bytes, or one with a unit: 512, 64KB, 1MB or 1GB";

/**
 * Reads `500ms`, `5s`, `1h30m`; `0` needs no unit.
 * @returns whole milliseconds.
 * @throws ProxyError ERR_CONFIG, with the cure.
 */
export function parseDuration(written: string | number): number {
  const text = String(written).trim();
  if (/^0+$/.test(text)) return 0;
  if (/^\d+(\.\d+)?$/.test(text))
    throw bad(text, "a duration: its unit is missing", `Write ${text}s for seconds`);
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw bad(text, "a duration", DURATION_CURE);
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(number) * DURATION_UNITS.find(([name]) => name === unit)![1];
  }
  return whole(text, total, "a duration: it is finer than a millisecond", DURATION_CURE);
}

/** The shortest text that `parseDuration` reads back to the same value: `1h30m`, `500ms`, `0`. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = "";
  for (const [name, length] of DURATION_UNITS) {
    const count = Math.floor(rest / length);
    if (count > 0) text += `${count}${name}`;
    rest -= count * length;
  }
  return text || "0";
}

/**
 * Reads plain bytes, or `64KB`, `1MB`, `1GB` in powers of two; `KiB` and `K` mean the same as `KB`, in either case.
 * @returns whole bytes.
 * @throws ProxyError ERR_CONFIG, with the cure.
 */
export function parseSize(written: string | number): number {
  const text = String(written).trim();
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmg])(?:i?b)?|b)?$/i.exec(text);
  if (!match) throw bad(text, "a size", SIZE_CURE);
  const unit = SIZE_UNITS.find(([name]) => name[0] === match[2]?.toUpperCase());
  const bytes = Number(match[1]) * (unit?.[1] ?? 1);
  return whole(text, bytes, "a size: it is not a whole number of bytes", SIZE_CURE);
}

/** The text with the largest unit that divides the value: `64KB`, `1536`. `parseSize` reads it back to the same value. */
export function formatSize(bytes: number): string {
  const unit = SIZE_UNITS.find(([, size]) => bytes >= size && bytes % size === 0);
  return unit ? `${bytes / unit[1]}${unit[0]}` : String(bytes);
}

/**
 * Reads events per second: `1000/s`.
 * @throws ProxyError ERR_CONFIG, with the cure.
 */
export function parseEventRate(written: string | number): number {
  const text = String(written).trim();
  const match = /^(\d+)\/s$/.exec(text);
  if (!match) throw bad(text, "a rate", "Write a number for each second: 1000/s");
  return whole(text, Number(match[1]), "a rate: it is too large", "Write less");
}

/**
 * Reads bytes per second: `100MB/s`.
 * @throws ProxyError ERR_CONFIG, with the cure.
 */
export function parseByteRate(written: string | number): number {
  const text = String(written).trim();
  if (!text.endsWith("/s")) throw bad(text, "a rate", "Write a size for each second: 100MB/s");
  return parseSize(text.slice(0, -"/s".length));
}

/**
 * Reads a share of all: `50%`, `12.5%`; `0` needs no sign.
 * @returns 0 to 1.
 * @throws ProxyError ERR_CONFIG, with the cure.
 */
export function parsePercent(written: string | number): number {
  const text = String(written).trim();
  if (/^0+$/.test(text)) return 0;
  if (/^\d+(\.\d+)?$/.test(text)) {
    throw bad(text, "a percentage: its sign is missing", `Write "${text}%"`);
  }
  const match = /^(\d+(?:\.\d+)?) ?%$/.exec(text);
  if (!match) throw bad(text, "a percentage", 'Write a number and the sign: "50%"');
  const share = Number(match[1]) / 100;
  if (share > 1) throw bad(text, "a part of all: it is more", 'Write at most "100%"');
  return share;
}

/** The text that `parsePercent` reads back to the same value: `50%`, `12.5%`. */
export function formatPercent(share: number): string {
  return `${Number((share * 100).toFixed(6))}%`;
}

function whole(text: string, value: number, reason: string, cure: string): number {
  // 0.1 + 0.2 style dust of the decimal notation is not the user's mistake.
  const rounded = Math.round(value);
  if (Math.abs(value - rounded) > 1e-6) throw bad(text, reason, cure);
  if (!Number.isSafeInteger(rounded))
    throw bad(text, "a number that can be counted exactly", "Write less");
  return rounded;
}

function bad(text: string, kind: string, cure: string): ProxyError {
  return new ProxyError("ERR_CONFIG", `"${text}" is not ${kind}`, { cure });
}
