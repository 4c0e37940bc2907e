// The list of `proxy targets`, and the words for how a target is. Pure. Called by `proxy targets` and top.

import type { TargetState } from "../../control/admin/schemas.ts";
import { printable } from "../../shared/printable.ts";
import { readable } from "../counter-board.ts";
import type { Style } from "../terminal.ts";
import { type Cell, type Column, layOut, type Room } from "./columns.ts";
import { amount } from "./units.ts";

const COLUMNS: readonly Column[] = [
  { title: "LISTENER", least: 8, spare: 1 },
  { title: "ROUTE", least: 8, spare: 4 },
  { title: "TARGET", least: 15 },
  { title: "STATE" },
  { title: "WEIGHT", right: true },
  { title: "OPEN", right: true },
  { title: "CONNECTS", right: true, spare: 3 },
  { title: "FAILED", right: true },
  { title: "UP", right: true, spare: 5 },
  { title: "DOWN", right: true, spare: 5 },
];

export function formatTargets(targets: readonly TargetState[], room: Room, style: Style): string {
  if (targets.length === 0) return "no targets";
  const hasRoutes = targets.some(({ route }) => route !== null);
  const columns = COLUMNS.filter(({ title }) => hasRoutes || title !== "ROUTE");
  const rows = targets.map((target): Cell[] => [
    printable(target.listener, room.unicode),
    ...(hasRoutes ? [printable(target.route ?? "", room.unicode)] : []),
    printable(target.name, room.unicode),
    stateCell(target, style),
    weightOf(target),
    String(target.active),
    amount(target.connects),
    target.failures === 0 ? "0" : { text: amount(target.failures), paint: style.yellow },
    readable(target.bytesUp),
    readable(target.bytesDown),
  ]);
  const { head, rows: lines } = layOut(columns, rows, room);
  return [style.dim(head), ...lines].join("\n");
}

/** What an operator said counts more than how it is. */
export function stateCell(target: TargetState, { green, yellow, red, dim }: Style): Cell {
  const { state, health, backup } = target;
  if (state !== "enabled") return { text: state, paint: dim };
  if (health === "up") return { text: backup ? "up, backup" : "up", paint: green };
  const { states } = target;
  const all = Object.values(states).reduce((sum, count) => sum + count, 0);
  const word = health === "half_open" ? "half open" : health;
  const seen = states[health] ?? 0;
  // Workers find out by themselves, each from its own connections.
  const share = seen < all ? ` ${seen}/${all}` : "";
  return { text: `${word}${share}`, paint: health === "half_open" ? yellow : red };
}

/** `5`, or `0 (5)` where it is not as configured. */
export function weightOf({ weight, configuredWeight }: TargetState): string {
  return weight === configuredWeight ? String(weight) : `${weight} (${configuredWeight})`;
}
