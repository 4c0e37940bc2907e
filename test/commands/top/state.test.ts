// Keys of `proxy top`, and what they do.

import { expect, test } from "bun:test";

import { type Key, keysOf } from "../../../src/commands/top/keys.ts";
import { readingOf } from "../../../src/commands/top/reading.ts";
import {
  type Effect,
  press,
  received,
  selectedIndex,
  START,
  type TopState,
} from "../../../src/commands/top/state.ts";
import { aConnection, aSnapshot, aTarget, twoSnapshots } from "./sample.ts";

const LIVE = received(START, readingOf(...twoSnapshots()));

/** The state after all of them, and the last one's effect. */
function after(state: TopState, ...keys: Key[]): { state: TopState; effect: Effect | null } {
  return keys.reduce(({ state: before }, key) => press(before, key), {
    state,
    effect: null as Effect | null,
  });
}

test("keys are read as terminals send them", () => {
  expect(keysOf("\u001B[A\u001BOBq\t\u001B[Z\u0003")).toEqual([
    "up",
    "down",
    "letter q",
    "tab",
    "back tab",
    "interrupt",
  ]);
  expect(keysOf("\u001B[5~\u001B[6~\u001B[H\u001B[4~\u001B")).toEqual([
    "page up",
    "page down",
    "home",
    "end",
    "escape",
  ]);
});

test("no letter within a sequence that means nothing counts as a key", () => {
  expect(keysOf("\u001B[1;5Cq")).toEqual(["letter q"]);
  expect(keysOf("\u001B[200~\u001B[?62;4c\u001BOq\u0080é")).toEqual([]);
});

test("q and ctrl-c quit, whatever is shown", () => {
  expect(after(LIVE, "letter q").effect).toEqual({ kind: "quit" });
  expect(after(START, "letter q").effect).toEqual({ kind: "quit" });
  expect(after(LIVE, "letter ?", "letter q").effect).toEqual({ kind: "quit" });
  expect(after(LIVE, "tab", "tab", "letter c", "interrupt").effect).toEqual({ kind: "quit" });
});

test("tab goes round the panes, and back", () => {
  expect(after(LIVE, "tab").state.pane).toBe("targets");
  expect(after(LIVE, "tab", "tab", "tab").state.pane).toBe("listeners");
  expect(after(LIVE, "back tab").state.pane).toBe("connections");
});

test("what is selected stays so when rows move, and is the first when it has gone", () => {
  const down = after(LIVE, "tab", "tab", "down").state;
  expect(selectedIndex(down, "connections")).toBe(1);
  const connections = [aConnection({ id: 18 }), aConnection()];
  const moved = received(
    down,
    readingOf(null, aSnapshot(2, { connections: { matching: 2, connections } })),
  );
  expect(selectedIndex(moved, "connections")).toBe(0);
  const gone = received(down, readingOf(null, aSnapshot(2)));
  expect(selectedIndex(gone, "connections")).toBe(0);
  expect(after(gone, "end", "down", "home", "page up").state.selected.connections).toBe("0:17");
});

test("c asks before it closes a connection, and anything but y leaves it", () => {
  const asked = after(LIVE, "tab", "tab", "letter c");
  expect(asked.effect).toBeNull();
  expect(asked.state.asking?.question).toBe(
    "close the connection of 192.0.2.7:40000 to 10.0.0.3:5432?",
  );
  expect(press(asked.state, "letter y").effect).toEqual({
    kind: "close",
    worker: 0,
    id: 17,
    client: "192.0.2.7:40000",
  });
  for (const key of ["letter n", "letter q", "escape", "down"] as const) {
    const left = press(asked.state, key);
    expect(left.effect).toBeNull();
    expect(left.state.asking).toBeNull();
  }
});

test("a connection whose requests choose their targets is named by its listener", () => {
  const connections = [aConnection({ target: "", listener: "http :80" })];
  const reading = readingOf(null, aSnapshot(0, { connections: { matching: 1, connections } }));
  const { asking } = after(received(START, reading), "back tab", "letter c").state;
  expect(asking?.question).toBe("close the connection of 192.0.2.7:40000 on http :80?");
});

test("y closes the connection that was asked about, though others came before it since", () => {
  const asked = after(LIVE, "tab", "tab", "letter c").state;
  const connections = [aConnection({ id: 5 })];
  const later = received(
    asked,
    readingOf(null, aSnapshot(2, { connections: { matching: 1, connections } })),
  );
  expect(press(later, "letter y").effect).toMatchObject({ kind: "close", id: 17 });
});

test("d drains and e enables the selected target", () => {
  const targets = [aTarget(), aTarget({ slot: 1, name: "10.0.0.4:5432" })];
  const state = received(START, readingOf(null, aSnapshot(0, { targets })));
  expect(after(state, "tab", "down", "letter d").effect).toEqual({
    kind: "target",
    listener: "tcp :5432",
    name: "10.0.0.4:5432",
    state: "draining",
  });
  expect(after(state, "tab", "letter e").effect).toMatchObject({
    name: "10.0.0.3:5432",
    state: "enabled",
  });
});

test("a key that means something in another pane says so, and the next key takes that away", () => {
  expect(after(LIVE, "letter c").state.said).toBe("tab to the connections first");
  expect(after(LIVE, "letter d").state.said).toBe("tab to the targets first");
  expect(after(LIVE, "letter d", "down").state.said).toBeNull();
  const empty = received(
    START,
    readingOf(null, aSnapshot(0, { targets: [], connections: { matching: 0, connections: [] } })),
  );
  expect(after(empty, "tab", "letter d").state.said).toBe("there is no target");
  expect(after(empty, "back tab", "letter c").state.said).toBe("there is no connection");
});

test("while paused what is shown stays, and goes on after", () => {
  const paused = after(LIVE, "letter p").state;
  const next = readingOf(null, aSnapshot(5));
  expect(received(paused, next).reading).toBe(LIVE.reading);
  expect(received(after(paused, "letter p").state, next).reading).toBe(next);
});

test("the help goes away with any key", () => {
  expect(after(LIVE, "letter ?").state.helps).toBe(true);
  expect(after(LIVE, "letter ?", "down").state.helps).toBe(false);
});
