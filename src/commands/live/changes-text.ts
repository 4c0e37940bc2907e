// What a reload changed, a line for each listener that was touched. Pure. Called by `proxy reload`.

import type { Changes } from "../../control/admin/schemas.ts";
import { printable } from "../../shared/printable.ts";
import type { Style } from "../terminal.ts";

export function formatChanges(changes: Changes, { green, yellow, red, dim }: Style): string {
  const { added, removed, changed, unchanged, settings, deferred } = changes;
  const lines = [
    ...removed.map((key) => `${red("-")} ${printable(key)} ${dim("(drains)")}`),
    ...added.map((key) => `${green("+")} ${printable(key)}`),
    ...changed.map(
      ({ listener, parts }) =>
        `${yellow("~")} ${printable(listener)}: ${printable(parts.join(", "))}`,
    ),
    ...settings.map((key) => `${yellow("~")} ${printable(key)}`),
    ...deferred.map((key) => `${dim("=")} ${printable(key)}: needs an upgrade (proxy upgrade)`),
  ];
  const rest =
    unchanged === 1 ? "1 listener is as it was" : `${unchanged} listeners are as they were`;
  if (lines.length === 0) return `nothing is different, ${rest}`;
  return ["the configuration is taken up", ...lines, ...(unchanged > 0 ? [dim(rest)] : [])].join(
    "\n",
  );
}
