// The list of `proxy connections`. Pure.

import type { Connections } from "../../control/admin/schemas.ts";
import { printable } from "../../shared/printable.ts";
import { readable } from "../counter-board.ts";
import type { Style } from "../terminal.ts";
import { type Column, layOut, type Room } from "./columns.ts";
import { span } from "./units.ts";

const COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "CLIENT", least: 15 },
  { title: "LISTENER", least: 8, spare: 3 },
  { title: "TARGET", least: 15 },
  { title: "AGE", right: true },
  { title: "IDLE", right: true, spare: 4 },
  { title: "UP", right: true, spare: 2 },
  { title: "DOWN", right: true, spare: 1 },
];

export function formatConnections(
  { matching, connections }: Connections,
  nowMs: number,
  room: Room,
  style: Style,
): string {
  if (connections.length === 0) return matching === 0 ? "no connections" : rest(matching, 0);
  const rows = connections.map((each) => [
    `${each.worker}:${each.id}`,
    printable(each.client, room.unicode),
    printable(each.listener, room.unicode),
    // Requests of HTTP choose theirs one by one.
    each.target === "" ? "-" : printable(each.target, room.unicode),
    span(nowMs - each.startedMs),
    span(nowMs - each.activeMs),
    readable(each.bytesUp),
    readable(each.bytesDown),
  ]);
  const { head, rows: lines } = layOut(COLUMNS, rows, room);
  const more = matching > connections.length ? ["", rest(matching, connections.length)] : [];
  return [style.dim(head), ...lines, ...more].join("\n");
}

function rest(matching: number, shown: number): string {
  return `${shown} of ${matching} connections; -limit says how many are shown`;
}
