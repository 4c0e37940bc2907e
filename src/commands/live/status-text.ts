// What `proxy status` prints: first what is wrong, then how the proxy is, then its listeners. Pure.

import type { ListenerState, Status } from "../../control/admin/schemas.ts";
import { printable, printableLines } from "../../shared/printable.ts";
import { readable } from "../counter-board.ts";
import { type Row, table } from "../plan-text/rows.ts";
import type { Style } from "../terminal.ts";
import { type Cell, type Column, layOut, type Room } from "./columns.ts";
import { amount, span } from "./units.ts";

export interface Told {
  /** Where it was asked. */
  readonly address: string;
  readonly status: Status;
  readonly listeners: readonly ListenerState[];
}

const LISTENERS: readonly Column[] = [
  { title: "LISTENER", least: 12 },
  { title: "OPEN", right: true },
  { title: "TOTAL", right: true, spare: 2 },
  { title: "UP", right: true },
  { title: "DOWN", right: true },
  { title: "REFUSED", right: true, spare: 1 },
];

export function formatStatus(told: Told, room: Room, style: Style): string {
  const { status, listeners, address } = told;
  const { unicode } = room;
  const { version, pid, ready, uptimeSeconds } = status;
  const head = `proxy ${version} on ${address}, process ${pid}, up ${span(uptimeSeconds * 1_000)}`;
  const blocks = [
    [
      ...(ready ? [style.green("ready")] : notReady(status, style, unicode)),
      ...status.warnings.flatMap((text) => flagged(style.yellow("warning"), text, unicode)),
    ].join("\n"),
    `${printable(head, unicode)}\n${table(rowsOf(status), "  ")}`,
  ];
  if (listeners.length > 0) {
    const { head: titles, rows } = layOut(
      LISTENERS,
      listeners.map((each) => cells(each, room, style)),
      room,
    );
    blocks.push([style.dim(titles), ...rows].join("\n"));
  }
  return blocks.join("\n\n");
}

function notReady({ reasons, phase }: Status, { red }: Style, unicode: boolean): string[] {
  const told = reasons.length > 0 ? reasons : [phase];
  return told.flatMap((reason) => flagged(red("not ready"), reason, unicode));
}

/** A reason may have lines: the problems of a file. */
function flagged(word: string, text: string, unicode: boolean): string[] {
  const [first = "", ...others] = printableLines(text, unicode);
  return [`${word}: ${first}`, ...others.map((line) => `  ${line}`)];
}

function rowsOf(status: Status): Row[] {
  const { phase, engine, workers, workerRestarts, connections, reloads, logLevel } = status;
  const of = (kind: "relay" | "gateway"): number =>
    workers.filter((each) => each.kind === kind).length;
  const kinds = (["relay", "gateway"] as const).filter((kind) => of(kind) > 0);
  const restarted = workerRestarts === 0 ? "" : `, restarted ${times(workerRestarts)}`;
  const refused = reloads.refused === 0 ? "" : `, ${reloads.refused} refused`;
  const taken = new Date(reloads.lastTakenMs).toISOString().slice(0, 19).replace("T", " ");
  return [
    ["phase", phase],
    ...(engine === null ? [] : [["engine", printable(engine)] satisfies Row]),
    ["workers", `${kinds.map((kind) => `${of(kind)} ${kind}`).join(", ") || "none"}${restarted}`],
    ["connections", String(connections)],
    ["configuration", `taken up at ${taken} UTC, ${times(reloads.taken)} reloaded${refused}`],
    ["log level", logLevel],
  ];
}

function cells(listener: ListenerState, { unicode }: Room, { dim, red }: Style): Cell[] {
  const { key, workers, connections, bytes, refused } = listener;
  const name = printable(key, unicode);
  const turnedAway = Object.values(refused).reduce((sum, count) => sum + count, 0);
  return [
    workers.length === 0 ? { text: `${name} (closed)`, paint: red } : name,
    String(connections.active),
    amount(connections.total),
    readable(bytes.up),
    readable(bytes.down),
    turnedAway === 0 ? { text: "0", paint: dim } : amount(turnedAway),
  ];
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
