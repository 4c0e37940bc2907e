// The picture of `proxy top`, word for word.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { widthOf } from "../../../src/commands/live/columns.ts";
import { readingOf } from "../../../src/commands/top/reading.ts";
import { press, received, START, type TopState } from "../../../src/commands/top/state.ts";
import { type Look, picture, render, share } from "../../../src/commands/top/view.ts";
import { aConnection, aSnapshot, aTarget, PLAIN, tcpListener, twoSnapshots } from "./sample.ts";

const LOOK: Look = {
  columns: 80,
  lines: 24,
  unicode: true,
  style: PLAIN,
  address: "127.0.0.1:9090",
};
const LIVE = received(START, readingOf(...twoSnapshots()));

const shown = (state: TopState, look: Partial<Look> = {}): string =>
  render(state, { ...LOOK, ...look }).join("\n");

test("a terminal of 80 by 24 has everything", () => {
  expect(shown(LIVE)).toBe(`proxy 0.1.0 on 127.0.0.1:9090  process 4711  serving  up 1d 2h
1 open  12 conn/s  4.5k req/s  8 Mbit/s up  400 down  cpu 150%  210 MB  lag 2 ms


* LISTENER (2)     OPEN  CONN/S  MBIT/S UP  DOWN  REQ/S    P50    P99  REFUSED/S
> tcp :5432           8      12          8   400      -      -      -          3
  http :8080          7       0          0     0   4.5k  0.6ms  9.5ms          0

  TARGET (1)              LISTENER   STATE  WEIGHT  OPEN  CONN/S  MBIT/S  FAILED
  10.0.0.3:5432           tcp :5432  up          1     7      12     408       0

  CLIENT (2)            TARGET         LISTENER     AGE      UP     DOWN  MBIT/S
  192.0.2.7:40000       10.0.0.3:5432  tcp :5432  1m 6s  2.0 KB  48.7 MB     400
  [2001:db8::7]:51000   10.0.0.3:5432  tcp :5432     0s  2.0 KB   1.0 MB     8.4









q quit  tab pane  ↑↓ select  c close  d drain  e enable  p pause  ? help`);
});

test("without Unicode, and narrow, columns that can be spared are left out", () => {
  const state = press(LIVE, "tab").state;
  expect(shown(state, { columns: 60, lines: 16, unicode: false }))
    .toBe(`proxy 0.1.0 on 127.0.0.1:9090  process 4711  serving
1 open  12 conn/s  4.5k req/s  8 Mbit/s up  400 down  210 MB


  LISTENER (2)   OPEN  CONN/S  MBIT/S UP  DOWN  REQ/S    P99
  tcp :5432         8      12          8   400      -      -
  http :8080        7       0          0     0   4.5k  9.5ms

* TARGET (1)     STATE  WEIGHT  OPEN  CONN/S  MBIT/S  FAILED
> 10.0.0.3:5432  up          1     7      12     408       0

  CLIENT (2)         TARGET         LISTENER     AGE  MBIT/S
  192.0.2.7:40000    10.0.0.3:5432  tcp :5432  1m 6s     400
  [2001:db~7]:51000  10.0.0.3:5432  tcp :5432     0s     8.4

q quit  tab pane  j k select  c close  d drain  e enable`);
});

test("a terminal that is too small is told so", () => {
  expect(shown(LIVE, { columns: 40, lines: 10 })).toBe(`this needs 60 columns and 14 lines
here are 40 and 10
q quits`);
  expect(render(LIVE, { ...LOOK, columns: 5, lines: 1 })).toEqual(["th…es"]);
});

test("a lost connection, a pause and a question are seen", () => {
  const lost = shown({ ...LIVE, lost: "no proxy answers on 127.0.0.1:9090" }).split("\n");
  expect(lost[0]).toBe(
    "proxy 0.1.0 on 127.0.0.1:9090  process 4711  serving          LOST, TRYING AGAIN",
  );
  expect(lost[2]).toBe("no proxy answers on 127.0.0.1:9090");
  expect(shown({ ...LIVE, paused: true }).split("\n")[0]).toEndWith(" PAUSED");
  const asking = press(press(LIVE, "back tab").state, "letter c").state;
  expect(shown(asking).split("\n").at(-1)).toBe(
    "close the connection of 192.0.2.7:40000 to 10.0.0.3:5432? y/n",
  );
  expect(
    shown({ ...LIVE, said: "it is done" })
      .split("\n")
      .at(-1),
  ).toBe("it is done");
});

test("the worst of what is wrong has a line", () => {
  const [first, second] = twoSnapshots();
  const line = (more: Parameters<typeof aSnapshot>[1]): string =>
    shown(received(START, readingOf(first, { ...second, ...more }))).split("\n")[2]!;
  const events = [
    {
      timeMs: second.timeMs - 5_000,
      level: "warn" as const,
      message: "target is down",
      fields: { error: "ECONNREFUSED" },
    },
  ];
  expect(line({ events })).toBe("5s ago: target is down: ECONNREFUSED");
  const warned = { ...second.status, warnings: ["certificate of x is expired"] };
  expect(line({ events, status: warned })).toBe("warning: certificate of x is expired");
  const machine = { ...second.process, overloaded: ["descriptors"] };
  expect(line({ status: warned, process: machine })).toBe("overloaded: descriptors");
  const status = { ...warned, ready: false, reasons: ["a\nb"] };
  expect(line({ status, process: machine })).toBe("not ready: a\\nb");
});

test("control characters of others do not reach the terminal", () => {
  const evil = "\u001B[31m\u009B\u202E";
  const [first, second] = twoSnapshots();
  const snapshot = {
    ...second,
    status: { ...second.status, version: evil, ready: false, reasons: [evil] },
    listeners: [tcpListener({ key: evil })],
    targets: [aTarget({ name: evil, listener: evil })],
    connections: {
      matching: 1,
      connections: [aConnection({ client: evil, target: evil, listener: evil })],
    },
  };
  const state = received(START, readingOf(first, snapshot));
  const asking = press(press(state, "back tab").state, "letter c").state;
  for (const each of [state, asking, { ...state, said: evil }, { ...state, lost: evil }]) {
    for (const line of render(each, LOOK))
      expect(line).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u202E]/);
  }
});

test("no line is too wide and there are as many as the terminal has, whatever it shows", () => {
  const many = Array.from({ length: 30 }, (_, i) => i);
  const text = fc.string({ unit: "grapheme", maxLength: 60 });
  fc.assert(
    fc.property(
      text,
      fc.integer({ min: 60, max: 200 }),
      fc.integer({ min: 14, max: 60 }),
      fc.boolean(),
      fc.constantFrom(0, 1, 2),
      (name, columns, lines, unicode, tabs) => {
        const snapshot = aSnapshot(1, {
          listeners: many.map((i) => tcpListener({ key: `${name}${i}` })),
          targets: many.map((i) => aTarget({ slot: i, name: `${i}${name}`, listener: name })),
          connections: {
            matching: 30,
            connections: many.map((id) => aConnection({ id, client: name })),
          },
        });
        let state = received(START, readingOf(aSnapshot(0), snapshot));
        for (let i = 0; i < tabs; i++) state = press(state, "tab").state;
        state = press(state, "end").state;
        const drawn = render(state, { ...LOOK, columns, lines, unicode });
        expect(drawn.length).toBe(lines);
        for (const line of drawn) expect(widthOf(line)).toBeLessThanOrEqual(columns);
        expect(drawn.filter((line) => line.startsWith("> "))).toHaveLength(1);
      },
    ),
    { numRuns: 50 },
  );
});

test("panes share the lines: a few rows each, then the one in focus", () => {
  expect(share([2, 1, 2], 0, 15)).toEqual([2, 1, 2]);
  expect(share([20, 20, 20], 1, 15)).toEqual([3, 9, 3]);
  expect(share([2, 20, 20], 0, 15)).toEqual([2, 10, 3]);
  expect(share([20, 20, 20], 2, 4)).toEqual([2, 1, 1]);
  expect(share([0, 0, 0], 0, 15)).toEqual([0, 0, 0]);
});

test("a picture for a pipe has all listeners and targets, and no keys", () => {
  const lines = picture(readingOf(...twoSnapshots()), { ...LOOK, columns: Infinity });
  expect(lines.join("\n")).toBe(`proxy 0.1.0 on 127.0.0.1:9090  process 4711  serving  up 1d 2h
1 open  12 conn/s  4.5k req/s  8 Mbit/s up  400 down  cpu 150%  210 MB  lag 2 ms  120 of 1024 files

LISTENER (2)              OPEN  CONN/S  MBIT/S UP   DOWN  REQ/S     P50     P99  REFUSED/S
tcp :5432                    8      12          8    400      -       -       -          3
http :8080                   7       0          0      0   4.5k   0.6ms   9.5ms          0

TARGET (1)              LISTENER      STATE      WEIGHT    OPEN  CONN/S  MBIT/S  FAILED
10.0.0.3:5432           tcp :5432     up              1       7      12     408       0

CLIENT (2)              TARGET                  LISTENER          AGE       UP     DOWN  MBIT/S
192.0.2.7:40000         10.0.0.3:5432           tcp :5432       1m 6s   2.0 KB  48.7 MB     400
[2001:db8::7]:51000     10.0.0.3:5432           tcp :5432          0s   2.0 KB   1.0 MB     8.4`);
});

test("targets say which route leads to them where there are several, and room", () => {
  const routes = ["/api/*", "default", null];
  const targets = routes.map((route, slot) =>
    aTarget({ slot, name: `10.0.0.${slot + 3}:80`, route }),
  );
  const table = (columns: number, some: typeof targets): string => {
    const reading = readingOf(aSnapshot(0), aSnapshot(1, { targets: some }));
    const text = picture(reading, { ...LOOK, columns }).join("\n");
    return text.split("\n\n").find((part) => part.startsWith("TARGET"))!;
  };
  expect(table(Infinity, targets)).toBe(
    `TARGET (3)              LISTENER      ROUTE    STATE      WEIGHT    OPEN  CONN/S  MBIT/S  FAILED
10.0.0.3:80             tcp :5432     /api/*   up              1       7       0       0       0
10.0.0.4:80             tcp :5432     default  up              1       7       -       -       0
10.0.0.5:80             tcp :5432     -        up              1       7       -       -       0`,
  );
  expect(table(60, targets)).not.toContain("ROUTE");
  expect(table(Infinity, targets.slice(1))).not.toContain("ROUTE");
});
