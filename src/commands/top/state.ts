// What `proxy top` shows and what a key makes of it. Pure: what has to be done outside is an effect that the session carries
// out. What is selected is kept by its name, since rows move every second.

import type { TargetState } from "../../control/admin/schemas.ts";
import type { Key } from "./keys.ts";
import type { Reading } from "./reading.ts";

export const PANES = ["listeners", "targets", "connections"] as const;
export type Pane = (typeof PANES)[number];

export interface TopState {
  /** null: nothing has come yet. */
  readonly reading: Reading | null;
  /** Why nothing comes; null: something does. */
  readonly lost: string | null;
  readonly pane: Pane;
  /** Of each pane; null: its first row. */
  readonly selected: Readonly<Record<Pane, string | null>>;
  readonly paused: boolean;
  readonly helps: boolean;
  /** What y will do. */
  readonly asking: { readonly question: string; readonly effect: Effect } | null;
  /** What came of the last thing that was done; until the next key. */
  readonly said: string | null;
}

export type Effect =
  | { readonly kind: "quit" }
  | { readonly kind: "suspend" }
  | { readonly kind: "redraw" }
  | {
      readonly kind: "close";
      readonly worker: number;
      readonly id: number;
      readonly client: string;
    }
  | {
      readonly kind: "target";
      readonly listener: string;
      readonly name: string;
      readonly state: TargetState["state"];
    };

export interface Pressed {
  readonly state: TopState;
  readonly effect: Effect | null;
}

export const START: TopState = {
  reading: null,
  lost: null,
  pane: "listeners",
  selected: { listeners: null, targets: null, connections: null },
  paused: false,
  helps: false,
  asking: null,
  said: null,
};

const PAGE = 10;

/** What came of the proxy; while paused, what is shown stays. */
export function received(state: TopState, reading: Reading): TopState {
  const next = { ...state, lost: null };
  return state.paused && state.reading !== null ? next : { ...next, reading };
}

export function press(before: TopState, key: Key): Pressed {
  const state = { ...before, said: null };
  const only = (next: TopState): Pressed => ({ state: next, effect: null });
  if (key === "interrupt") return { state, effect: { kind: "quit" } };
  if (key === "suspend" || key === "redraw") return { state, effect: { kind: key } };
  if (state.asking !== null) {
    const answered = { ...state, asking: null };
    return { state: answered, effect: key === "letter y" ? state.asking.effect : null };
  }
  if (state.helps) return key === "letter q" ? quit(state) : only({ ...state, helps: false });
  switch (key) {
    case "letter q":
      return quit(state);
    case "letter ?":
    case "letter h":
      return only({ ...state, helps: true });
    case "letter p":
      return only({ ...state, paused: !state.paused });
    case "tab":
      return only({ ...state, pane: paneAfter(state.pane, 1) });
    case "back tab":
      return only({ ...state, pane: paneAfter(state.pane, -1) });
    case "letter c":
      return only(askToClose(state));
    case "letter d":
      return changeTarget(state, "draining");
    case "letter e":
      return changeTarget(state, "enabled");
    default: {
      const step = STEPS[key];
      return only(step === undefined ? state : move(state, step));
    }
  }
}

const STEPS: Partial<Record<Key, number>> = {
  up: -1,
  "letter k": -1,
  down: 1,
  "letter j": 1,
  "page up": -PAGE,
  "page down": PAGE,
  home: -Infinity,
  end: Infinity,
};

function quit(state: TopState): Pressed {
  return { state, effect: { kind: "quit" } };
}

function paneAfter(pane: Pane, step: number): Pane {
  return PANES[(PANES.indexOf(pane) + step + PANES.length) % PANES.length]!;
}

/** The row that is selected; one that is gone leaves the first. -1: there are no rows. */
export function selectedIndex(state: TopState, pane: Pane): number {
  const rows = state.reading?.[pane] ?? [];
  if (rows.length === 0) return -1;
  return Math.max(
    0,
    rows.findIndex(({ id }) => id === state.selected[pane]),
  );
}

function move(state: TopState, step: number): TopState {
  const { pane, reading } = state;
  const rows = reading?.[pane] ?? [];
  if (rows.length === 0) return state;
  const index = Math.min(rows.length - 1, Math.max(0, selectedIndex(state, pane) + step));
  return { ...state, selected: { ...state.selected, [pane]: rows[index]!.id } };
}

function askToClose(state: TopState): TopState {
  if (state.pane !== "connections") return { ...state, said: "tab to the connections first" };
  const row = state.reading?.connections[selectedIndex(state, "connections")];
  if (row === undefined) return { ...state, said: "there is no connection" };
  const { worker, id, client, target, listener } = row.connection;
  const where = target === "" ? `on ${listener}` : `to ${target}`;
  const question = `close the connection of ${client} ${where}?`;
  return { ...state, asking: { question, effect: { kind: "close", worker, id, client } } };
}

function changeTarget(state: TopState, to: TargetState["state"]): Pressed {
  if (state.pane !== "targets") {
    return { state: { ...state, said: "tab to the targets first" }, effect: null };
  }
  const row = state.reading?.targets[selectedIndex(state, "targets")];
  if (row === undefined) return { state: { ...state, said: "there is no target" }, effect: null };
  const { listener, name } = row.target;
  return { state, effect: { kind: "target", listener, name, state: to } };
}
