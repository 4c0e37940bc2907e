// Amounts for a person who glances at them: three digits or so. Pure. Called by the files beside this one and by top.

/** Events a second: `0`, `0.4`, `12`, `4.5k`. Less than a tenth shows as nothing. */
export function rate(perSecond: number): string {
  if (perSecond < 0.05) return "0";
  if (perSecond < 9.95) return trim(perSecond.toFixed(1));
  return amount(perSecond);
}

/** `812`, `1.2k`, `35k`, `1.8M` */
export function amount(count: number): string {
  const units = ["", "k", "M", "G", "T"];
  let value = count;
  let unit = 0;
  for (; Math.round(value) >= 1_000 && unit < units.length - 1; unit++) value /= 1_000;
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : trim(value.toFixed(1))}${units[unit]}`;
}

/** Bits a second, in the powers of ten that networks are measured in: `0`, `0.04`, `812` of Mbit/s. */
export function megabits(bytesPerSecond: number): string {
  const value = (bytesPerSecond * 8) / 1e6;
  if (value < 0.005) return "0";
  if (value < 9.995) return trim(value.toFixed(2));
  return value < 99.95 ? trim(value.toFixed(1)) : String(Math.round(value));
}

/** The two largest units: `3d 4h`, `12m 5s`, `0s`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0s";
  const told = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return told.map(([count, unit]) => `${count}${unit}`).join(" ");
}

/** Of a duration of an answer: `0.8ms`, `12ms`, `1.5s`. */
export function latency(ms: number): string {
  if (ms < 9.95) return `${trim(ms.toFixed(1))}ms`;
  return ms < 999.5 ? `${Math.round(ms)}ms` : `${trim((ms / 1_000).toFixed(1))}s`;
}

function trim(digits: string): string {
  return digits.replace(/\.?0+$/, "");
}
