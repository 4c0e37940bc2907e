// Numbers and times as text, each as short as it can be read at a glance. Pure. Called by everything that shows something.

const COUNT = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

export function count(value: number): string {
  return COUNT.format(value);
}

/** Three digits and a letter: 1.24, 12.4, 124, 1.24k. */
function scaled(value: number, step: number, units: readonly string[]): [string, string] {
  let unit = 0;
  while (value >= step * 0.9995 && unit < units.length - 1) {
    value /= step;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return [value.toFixed(digits), units[unit]!];
}

const BITS = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];

/** @param rate in bytes a second. */
export function bits(rate: number): string {
  return scaled(rate * 8, 1000, BITS).join(" ");
}

/** For an axis: 12M. */
export function bitsShort(rate: number): string {
  return plain(rate * 8);
}

export function bytes(value: number): string {
  return scaled(value, 1000, ["B", "kB", "MB", "GB", "TB", "PB"]).join(" ");
}

/** A number without a unit: 950, 1.2k, 3.4M. */
export function plain(value: number): string {
  const [number, unit] = scaled(value, 1000, ["", "k", "M", "G", "T"]);
  const isWhole = unit === "" || !number.includes(".");
  return `${isWhole ? number : number.replace(/\.?0+$/, "")}${unit}`;
}

/** Of events that may be rare: 0, 0.3, 12, 1,204. */
export function perSecond(value: number): string {
  if (value > 0 && value < 9.95) return value.toFixed(1);
  return count(value);
}

/** @param ms how long something took. */
export function took(ms: number): string {
  if (ms >= 9_950) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 9.95 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

/** @param seconds since something began: 45 s, 12 min, 3 h 20 min, 4 d 2 h. */
export function age(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, "h", minutes % 60, "min");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** In the reader's own zone: 12:01:05. */
export function clock(ms: number): string {
  const date = new Date(ms);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** 2026-11-23. */
export function day(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** The clock, and the day unless that is today. */
export function moment(ms: number, nowMs: number): string {
  return day(ms) === day(nowMs) ? clock(ms) : `${day(ms)} ${clock(ms)}`;
}

/** one: `1 connection`; otherwise `12 connections`. */
export function several(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
