// The picture of `proxy top`, as lines of text: of a state and a size alone, so that it can be tested word for word. No line is
// wider than the terminal, and there are never more lines than it has. Pure. Called by the session.

import { printable } from "../../shared/printable.ts";
import { readable } from "../counter-board.ts";
import { type Cell, clip, cut, layOut, pad, widthOf } from "../live/columns.ts";
import { megabits, rate, span } from "../live/units.ts";
import type { Style } from "../terminal.ts";
import { paneTable } from "./panes.ts";
import type { Reading } from "./reading.ts";
import { type Pane, PANES, selectedIndex, type TopState } from "./state.ts";

export interface Look {
  readonly columns: number;
  readonly lines: number;
  readonly unicode: boolean;
  readonly style: Style;
  /** Where it was asked. */
  readonly address: string;
}

const LEAST = { columns: 60, lines: 14 } as const;
/** Of the header and the footer. */
const FRAME_LINES = 5;
/** Rows that every pane has before the one in focus has more. */
const ROWS_AT_LEAST = 3;
/** Of a picture that nobody can move in. */
const PICTURE_CONNECTIONS = 10;

const KEYS = ["q quit", "tab pane", "c close", "d drain", "e enable", "p pause", "? help"];

const HELP = `tab, shift-tab    the next pane, the one before
arrows, j, k      another row; page up, page down, home, end
c                 of connections: closes the selected one
d                 of targets: drains the selected one
e                 of targets: enables it again
p                 pause: what is shown stays, until p
ctrl-l            draws the screen anew
q, ctrl-c         quit

Rates are of the last second, P50 and P99 of the time
that the HTTP answers took which ended in it. A state
is as the workers see it: "ejected 1/4" is one of four.`;

export function render(state: TopState, look: Look): string[] {
  const { columns, lines, style } = look;
  if (columns < LEAST.columns || lines < LEAST.lines) {
    const needs = `this needs ${LEAST.columns} columns and ${LEAST.lines} lines`;
    const has = `here are ${columns} and ${lines}`;
    return [needs, has, "q quits"].slice(0, lines).map((line) => cut(line, columns, look.unicode));
  }
  const { reading } = state;
  const body = state.helps ? HELP.split("\n") : reading === null ? [] : panes(state, reading, look);
  const drawn = [...header(state, look), ...body].slice(0, lines - 1);
  while (drawn.length < lines - 1) drawn.push("");
  return [...drawn, footer(state, look, style)];
}

/** All that there is, for a pipe or a file, without keys. */
export function picture(reading: Reading, look: Omit<Look, "lines">): string[] {
  const state = { reading, lost: null, paused: false };
  const tables = PANES.flatMap((pane) => {
    const { columns, rows } = paneTable(pane, reading, look);
    const shown = pane === "connections" ? rows.slice(0, PICTURE_CONNECTIONS) : rows;
    const { head, rows: lines } = layOut(columns, shown, { ...look, width: look.columns });
    return ["", head, ...lines];
  });
  return [...header(state, look).filter((line) => line !== ""), ...tables];
}

function header(
  { reading, lost, paused }: Pick<TopState, "reading" | "lost" | "paused">,
  look: Omit<Look, "lines">,
): string[] {
  const { columns, unicode, style, address } = look;
  const badge = lost !== null ? "LOST, TRYING AGAIN" : paused ? "PAUSED" : "";
  const place = printable(address, unicode);
  if (reading === null) return [spread(`proxy on ${place}`, badge, look), reason(lost, look), ""];
  const { status, process } = reading.snapshot;
  const { version, pid, phase, uptimeSeconds, ready } = status;
  const about = [
    `proxy ${printable(version, unicode)} on ${place}`,
    `process ${pid}`,
    ready ? phase : style.red("not ready"),
    `up ${span(uptimeSeconds * 1_000)}`,
  ];
  const { open, max } = process.descriptors;
  const counts = [
    `${status.connections} open`,
    known(reading.connects, (value) => `${rate(value)} conn/s`),
    known(reading.requests, (value) => `${rate(value)} req/s`),
    known(reading.bytesUp, (value) => `${megabits(value)} Mbit/s up`),
    known(reading.bytesDown, (value) => `${megabits(value)} down`),
    known(reading.cpu, (value) => `cpu ${Math.round(value * 100)}%`),
    readable(process.memoryBytes),
    `lag ${Math.round(process.lagMs)} ms`,
    open === null ? "" : max === null ? `${open} files` : `${open} of ${max} files`,
  ].filter((part) => part !== "");
  return [
    spread(fitting(about, columns - badge.length - 1), badge, look),
    fitting(counts, columns),
    lost === null ? trouble(reading, look) : reason(lost, look),
    "",
  ];
}

function known(value: number | null, format: (value: number) => string): string {
  return value === null ? "" : format(value);
}

/** As many as have room: the first are what matters. */
function fitting(parts: readonly string[], width: number): string {
  return parts.reduce((line, part) => {
    const longer = line === "" ? part : `${line}  ${part}`;
    return widthOf(longer) <= width ? longer : line;
  }, "");
}

function spread(
  left: string,
  right: string,
  { columns, unicode, style }: Omit<Look, "lines">,
): string {
  if (right === "") return cut(left, columns, unicode);
  const room = columns - widthOf(right) - 1;
  return `${pad(widthOf(left) > room ? cut(left, room, unicode) : left, room)} ${style.yellow(right)}`;
}

function reason(lost: string | null, { columns, unicode, style }: Omit<Look, "lines">): string {
  return lost === null ? "" : style.yellow(clip(printable(lost, unicode), columns, unicode));
}

/** The worst of what is wrong. */
function trouble({ snapshot }: Reading, { columns, unicode, style }: Omit<Look, "lines">): string {
  const { status, process, events } = snapshot;
  const [event] = events;
  const line = (text: string): string => clip(printable(text.trimEnd(), unicode), columns, unicode);
  const [first] = status.reasons;
  if (first !== undefined) return style.red(line(`not ready: ${first}`));
  const [overload] = process.overloaded;
  if (overload !== undefined) return style.red(line(`overloaded: ${overload}`));
  const [warning] = status.warnings;
  if (warning !== undefined) return style.yellow(line(`warning: ${warning}`));
  if (event === undefined) return "";
  const ago = span(snapshot.timeMs - event.timeMs);
  const error = event.fields["error"];
  return style.dim(
    line(`${ago} ago: ${event.message}${error === undefined ? "" : `: ${String(error)}`}`),
  );
}

function panes(state: TopState, reading: Reading, look: Look): string[] {
  const counts = PANES.map((pane) => reading[pane].length);
  // A head each, and a line between two.
  const room = look.lines - FRAME_LINES - PANES.length - (PANES.length - 1);
  const heights = share(counts, PANES.indexOf(state.pane), room);
  const blocks = PANES.map((pane, i) => paneLines(state, pane, reading, heights[i]!, look));
  return blocks.flatMap((block, i) => (i === 0 ? block : ["", ...block]));
}

/**
 * How many rows each pane shows: a few each, then all of the one in focus, and what is left goes to the others in order.
 * @param counts rows that there are.
 */
export function share(counts: readonly number[], focus: number, room: number): number[] {
  const heights = counts.map((count) => Math.min(count, ROWS_AT_LEAST));
  let left = room - heights.reduce((sum, height) => sum + height, 0);
  for (const i of [focus, ...counts.keys()]) {
    const more = Math.max(0, Math.min(left, counts[i]! - heights[i]!));
    heights[i]! += more;
    left -= more;
  }
  for (let i = heights.length - 1; left < 0; i = i === 0 ? heights.length - 1 : i - 1) {
    if (heights[i]! > 0) left++;
    heights[i] = Math.max(0, heights[i]! - 1);
  }
  return heights;
}

function paneLines(
  state: TopState,
  pane: Pane,
  reading: Reading,
  height: number,
  { columns, unicode, style }: Look,
): string[] {
  const isFocus = state.pane === pane;
  const table = paneTable(pane, reading, { unicode, style });
  const selected = selectedIndex(state, pane);
  const start = Math.max(0, Math.min(selected - height + 1, table.rows.length - height));
  const shown: (readonly Cell[])[] = table.rows.slice(start, start + height);
  const { head, rows } = layOut(table.columns, shown, { width: columns - 2, unicode });
  const title = isFocus ? style.bold(`* ${head}`) : style.dim(`  ${head}`);
  const lines = rows.map((row, i) =>
    isFocus && start + i === selected ? `${style.cyan(">")} ${row}` : `  ${row}`,
  );
  return [title, ...lines];
}

function footer({ asking, said, helps }: TopState, look: Look, style: Style): string {
  const { columns, unicode } = look;
  if (asking !== null) {
    const question = cut(printable(asking.question, unicode), columns - 5, unicode);
    return style.yellow(`${question} y/n`);
  }
  if (said !== null) return clip(printable(said, unicode), columns, unicode);
  const keys = KEYS.toSpliced(2, 0, `${unicode ? "↑↓" : "j k"} select`);
  return style.dim(helps ? "any key goes back, q quits" : fitting(keys, columns));
}
