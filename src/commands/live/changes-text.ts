// What a reload changed, a line for each listener that was touched. Pure. Called by `proxy reload`.

import type { Changes, ReloadEntry } from "../../control/admin/schemas.ts";
import { printable } from "../../shared/printable.ts";
import type { Style } from "../terminal.ts";
import { span } from "./units.ts";

export function formatChanges(changes: Changes, style: Style): string {
  const { unchanged } = changes;
  const rest =
    unchanged === 1 ? "1 listener is as it was" : `${unchanged} listeners are as they were`;
  if (isNothing(changes)) return `nothing is different, ${rest}`;
  const lines = ["the configuration is taken up", ...linesOf(changes, style)];
  return [...lines, ...(unchanged > 0 ? [style.dim(rest)] : [])].join("\n");
}

const CAUSES: Readonly<Record<ReloadEntry["cause"], string>> = {
  file: "when the file changed",
  signal: "on SIGHUP",
  api: "when it was asked to",
  start: "at the start",
};

/** The last reload that changed anything. */
export function formatLast(
  { atMs, cause, changes }: ReloadEntry,
  nowMs: number,
  style: Style,
): string {
  const head = `the last change was taken up ${span(nowMs - atMs)} ago, ${CAUSES[cause]}`;
  return [head, ...(changes === null ? [] : linesOf(changes, style))].join("\n");
}

export function isNothing({ added, removed, changed, settings, deferred }: Changes): boolean {
  return [added, removed, changed, settings, deferred].every((part) => part.length === 0);
}

function linesOf(changes: Changes, { green, yellow, red, dim }: Style): string[] {
  const { added, removed, changed, settings, deferred } = changes;
  return [
    ...removed.map((key) => `${red("-")} ${printable(key)} ${dim("(drains)")}`),
    ...added.map((key) => `${green("+")} ${printable(key)}`),
    ...changed.map(
      ({ listener, parts }) =>
        `${yellow("~")} ${printable(listener)}: ${printable(parts.join(", "))}`,
    ),
    ...settings.map((key) => `${yellow("~")} ${printable(key)}`),
    ...deferred.map((key) => `${dim("=")} ${printable(key)}: needs an upgrade (proxy upgrade)`),
  ];
}
