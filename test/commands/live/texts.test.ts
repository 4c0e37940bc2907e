// What the commands that ask a running proxy print.

import { expect, test } from "bun:test";

import { formatChanges, formatLast } from "../../../src/commands/live/changes-text.ts";
import { formatConnections } from "../../../src/commands/live/connections-text.ts";
import { formatStatus } from "../../../src/commands/live/status-text.ts";
import { formatTargets } from "../../../src/commands/live/targets-text.ts";
import { speaksUtf8 } from "../../../src/commands/live/terminal-room.ts";
import { aConnection, aSnapshot, aTarget, PLAIN, tcpListener } from "../top/sample.ts";

const PIPE = { width: Infinity, unicode: true };
const address = "127.0.0.1:9090";

test("status says that all is well, how the proxy is, and what listeners did", () => {
  const { status, listeners } = aSnapshot(0);
  expect(formatStatus({ address, status, listeners }, PIPE, PLAIN)).toBe(`ready

proxy 0.1.0 on 127.0.0.1:9090, process 4711, up 1d 2h
  phase          serving
  engine         uring
  workers        1 relay
  connections    1
  configuration  taken up at 2026-11-23 12:00:00 UTC, 0 times reloaded
  log level      info

LISTENER    OPEN  TOTAL      UP    DOWN  REFUSED
tcp :5432      7    100  977 KB  4.8 MB        0
http :8080     7    100  977 KB  4.8 MB        0`);
});

test("status says first why the proxy is not ready, each line of it", () => {
  const reasons = [
    "listener tcp :5432 is open on no worker",
    "the configuration was not taken: a\nb",
  ];
  const status = {
    ...aSnapshot(0).status,
    ready: false,
    reasons,
    warnings: ["certificate of x is expired"],
  };
  const listeners = [tcpListener({ workers: [], refused: { limit: 2, denied: 1 } })];
  const lines = formatStatus({ address, status, listeners }, PIPE, PLAIN).split("\n");
  expect(lines.slice(0, 5)).toEqual([
    "not ready: listener tcp :5432 is open on no worker",
    "not ready: the configuration was not taken: a",
    "  b",
    "warning: certificate of x is expired",
    "",
  ]);
  expect(lines.at(-1)).toBe("tcp :5432 (closed)     7    100  977 KB  4.8 MB        3");
});

test("a proxy that starts or drains gives that as its reason", () => {
  const status = { ...aSnapshot(0).status, ready: false, phase: "draining" as const };
  expect(formatStatus({ address, status, listeners: [] }, PIPE, PLAIN)).toStartWith(
    "not ready: draining\n",
  );
});

test("control characters of configurations do not reach the terminal", () => {
  const evil = "\u001B]0;x\u0007";
  const status = { ...aSnapshot(0).status, ready: false, reasons: [evil], warnings: [evil] };
  const shown = [
    formatStatus({ address, status, listeners: [tcpListener({ key: evil })] }, PIPE, PLAIN),
    formatConnections(
      { matching: 1, connections: [aConnection({ client: evil, listener: evil, target: evil })] },
      0,
      PIPE,
      PLAIN,
    ),
    formatTargets([aTarget({ name: evil, listener: evil, route: evil })], PIPE, PLAIN),
    formatChanges(
      {
        added: [evil],
        removed: [evil],
        changed: [{ listener: evil, parts: [evil] }],
        unchanged: 0,
        settings: [evil],
        deferred: [evil],
      },
      PLAIN,
    ),
  ].join("\n");
  expect(shown).toContain("\\u001b]0;x\\u0007");
  expect(shown).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/);
});

test("connections are listed with what they moved, and how many more there are", () => {
  const nowMs = Date.UTC(2026, 10, 23, 12, 0, 5);
  const told = { matching: 2, connections: [aConnection()] };
  expect(formatConnections(told, nowMs, PIPE, PLAIN))
    .toBe(`ID    CLIENT           LISTENER   TARGET            AGE  IDLE      UP    DOWN
0:17  192.0.2.7:40000  tcp :5432  10.0.0.3:5432  1m 10s    5s  2.0 KB  1.0 MB

1 of 2 connections; -limit says how many are shown`);
  expect(formatConnections({ matching: 0, connections: [] }, nowMs, PIPE, PLAIN)).toBe(
    "no connections",
  );
});

test("in a narrow terminal addresses are cut in the middle and no line is too long", () => {
  const client = "[2001:db8:1234:5678:9abc:def0:1234:5678]:51000";
  const told = { matching: 1, connections: [aConnection({ client, target: client })] };
  const lines = formatConnections(
    told,
    Date.UTC(2026, 10, 23, 12),
    { width: 60, unicode: true },
    PLAIN,
  ).split("\n");
  expect(lines).toEqual([
    "ID    CLIENT              TARGET                 AGE    DOWN",
    "0:17  [2001:db8…8]:51000  [2001:db8…78]:51000  1m 5s  1.0 MB",
  ]);
});

test("targets are listed with their state, which an operator's word comes before", () => {
  const targets = [
    aTarget({ weight: 0, configuredWeight: 5 }),
    aTarget({
      slot: 1,
      name: "10.0.0.4:5432",
      health: "ejected",
      states: { up: 3, ejected: 1, half_open: 0, down: 0 },
      failures: 12,
    }),
    aTarget({ slot: 2, name: "10.0.0.5:5432", health: "down", state: "draining", route: "api" }),
    aTarget({
      slot: 3,
      name: "10.0.0.6:5432",
      health: "half_open",
      states: { up: 0, ejected: 0, half_open: 2, down: 0 },
      backup: true,
    }),
  ];
  const rows = formatTargets(targets, PIPE, PLAIN)
    .split("\n")
    .map((line) => line.split(/ {2,}/).slice(0, 5));
  expect(rows).toEqual([
    ["LISTENER", "ROUTE", "TARGET", "STATE", "WEIGHT"],
    ["tcp :5432", "10.0.0.3:5432", "up", "0 (5)", "7"],
    ["tcp :5432", "10.0.0.4:5432", "ejected 1/4", "1", "7"],
    ["tcp :5432", "api", "10.0.0.5:5432", "draining", "1"],
    ["tcp :5432", "10.0.0.6:5432", "half open", "1", "7"],
  ]);
  expect(formatTargets([], PIPE, PLAIN)).toBe("no targets");
});

test("a reload is told line by line, or that nothing is different", () => {
  const none = { added: [], removed: [], changed: [], unchanged: 2, settings: [], deferred: [] };
  expect(formatChanges(none, PLAIN)).toBe("nothing is different, 2 listeners are as they were");
  const changes = {
    added: ["tcp :1"],
    removed: ["tcp :2"],
    changed: [{ listener: "tcp :3", parts: ["targets", "limits"] }],
    unchanged: 1,
    settings: ["log_level"],
    deferred: ["workers"],
  };
  expect(formatChanges(changes, PLAIN)).toBe(`the configuration is taken up
- tcp :2 (drains)
+ tcp :1
~ tcp :3: targets, limits
~ log_level
= workers: needs an upgrade (proxy upgrade)
1 listener is as it was`);
});

test("the last change is told with its time and its cause", () => {
  const changes = {
    added: [],
    removed: [],
    changed: [{ listener: "tcp :3", parts: ["limits"] }],
    unchanged: 0,
    settings: [],
    deferred: [],
  };
  const entry = { atMs: 1_000, cause: "file", taken: true, error: null, changes } as const;
  expect(formatLast(entry, 4_000, PLAIN)).toBe(
    "the last change was taken up 3s ago, when the file changed\n~ tcp :3: limits",
  );
});

test("a terminal shows more than ASCII where the locale says UTF-8", () => {
  expect(speaksUtf8({ LANG: "de_DE.UTF-8" })).toBe(true);
  expect(speaksUtf8({ LANG: "C.utf8" })).toBe(true);
  expect(speaksUtf8({ LC_ALL: "C", LANG: "de_DE.UTF-8" })).toBe(false);
  expect(speaksUtf8({ LC_ALL: "", LC_CTYPE: "en_US.UTF-8", LANG: "C" })).toBe(true);
  expect(speaksUtf8({})).toBe(false);
});
