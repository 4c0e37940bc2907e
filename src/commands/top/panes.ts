// The three tables of `proxy top`: listeners, targets, connections, each a row of cells for each thing. Pure. Called by
// view.ts.

import { printable } from "../../shared/printable.ts";
import { readable } from "../counter-board.ts";
import type { Cell, Column } from "../live/columns.ts";
import { stateCell, weightOf } from "../live/targets-text.ts";
import { amount, latency, megabits, rate, span } from "../live/units.ts";
import type { Style } from "../terminal.ts";
import type { ConnectionReading, ListenerReading, Reading, TargetReading } from "./reading.ts";
import type { Pane } from "./state.ts";

export interface PaneTable {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

interface Look {
  readonly unicode: boolean;
  readonly style: Style;
}

/** What there is nothing of. */
const NOTHING = "-";

export function paneTable(pane: Pane, reading: Reading, look: Look): PaneTable {
  switch (pane) {
    case "listeners":
      return listenerTable(reading.listeners, look);
    case "targets":
      return targetTable(reading.targets, look);
    case "connections":
      return connectionTable(reading, look);
  }
}

function listenerTable(readings: readonly ListenerReading[], { unicode, style }: Look): PaneTable {
  const columns: readonly Column[] = [
    { title: `LISTENER (${readings.length})`, least: 15, usual: 22 },
    { title: "OPEN", right: true, usual: 6 },
    { title: "CONN/S", right: true, usual: 6 },
    { title: "MBIT/S UP", right: true },
    { title: "DOWN", right: true, usual: 5 },
    { title: "REQ/S", right: true, usual: 5 },
    { title: "P50", right: true, usual: 6, spare: 2 },
    { title: "P99", right: true, usual: 6, spare: 1 },
    { title: "REFUSED/S", right: true, spare: 3 },
  ];
  const rows = readings.map((each): Cell[] => {
    const { listener, p50Ms, p99Ms, refused } = each;
    const name = printable(listener.key, unicode);
    return [
      listener.workers.length === 0 ? { text: `${name} (closed)`, paint: style.red } : name,
      String(listener.connections.active),
      told(each.connects, rate),
      told(each.bytesUp, megabits),
      told(each.bytesDown, megabits),
      told(each.requests, rate),
      percentile(p50Ms, listener.http?.durations.boundsMs),
      percentile(p99Ms, listener.http?.durations.boundsMs),
      (refused ?? 0) > 0 ? { text: rate(refused!), paint: style.yellow } : told(refused, rate),
    ];
  });
  return { columns, rows };
}

function targetTable(readings: readonly TargetReading[], { unicode, style }: Look): PaneTable {
  // A listener without routes has one by default, which says nothing.
  const routes = new Set(readings.flatMap(({ target }) => target.route ?? []));
  const hasRoutes = routes.size > 1;
  const columns: readonly Column[] = [
    { title: `TARGET (${readings.length})`, least: 15, usual: 22 },
    { title: "LISTENER", least: 10, usual: 12, spare: 2 },
    ...(hasRoutes ? [{ title: "ROUTE", least: 8, spare: 3 }] : []),
    { title: "STATE", usual: 9 },
    { title: "WEIGHT", right: true, spare: 1 },
    { title: "OPEN", right: true, usual: 6 },
    { title: "CONN/S", right: true, usual: 6 },
    { title: "MBIT/S", right: true, usual: 6 },
    { title: "FAILED", right: true },
  ];
  const rows = readings.map(({ target, connects, bytes }): Cell[] => [
    printable(target.name, unicode),
    printable(target.listener, unicode),
    ...(hasRoutes ? [target.route === null ? NOTHING : printable(target.route, unicode)] : []),
    stateCell(target, style),
    weightOf(target),
    String(target.active),
    told(connects, rate),
    told(bytes, megabits),
    target.failures === 0 ? "0" : { text: amount(target.failures), paint: style.yellow },
  ]);
  return { columns, rows };
}

function connectionTable({ snapshot, connections }: Reading, { unicode }: Look): PaneTable {
  const { matching } = snapshot.connections;
  const columns: readonly Column[] = [
    { title: `CLIENT (${matching})`, least: 15, usual: 22 },
    { title: "TARGET", least: 15, usual: 22 },
    { title: "LISTENER", least: 10, usual: 12, spare: 1 },
    { title: "AGE", right: true, usual: 7 },
    { title: "UP", right: true, usual: 7, spare: 2 },
    { title: "DOWN", right: true, usual: 7, spare: 2 },
    { title: "MBIT/S", right: true, usual: 6 },
  ];
  const rows = connections.map(({ connection, bytes }: ConnectionReading): Cell[] => [
    printable(connection.client, unicode),
    connection.target === "" ? NOTHING : printable(connection.target, unicode),
    printable(connection.listener, unicode),
    span(snapshot.timeMs - connection.startedMs),
    readable(connection.bytesUp),
    readable(connection.bytesDown),
    told(bytes, megabits),
  ]);
  return { columns, rows };
}

function told(perSecond: number | null, format: (value: number) => string): string {
  return perSecond === null ? NOTHING : format(perSecond);
}

/** Beyond all bounds, the last of them is what is known. */
function percentile(ms: number | null, bounds: readonly number[] = []): string {
  if (ms === null) return NOTHING;
  return ms === Infinity ? `>${latency(bounds.at(-1) ?? 0)}` : latency(ms);
}
