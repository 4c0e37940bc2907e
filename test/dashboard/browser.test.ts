// The dashboard in Chromium, in front of a stand-in for a proxy: what it shows of the worst that can be said, how it asks,
// and that it stays light. Traffic of a real proxy is in test/e2e/dashboard.test.ts.

import { afterAll, describe, expect } from "bun:test";

import type { Browser, BrowserContextOptions, Page } from "playwright-core";

import type { Snapshot } from "../../src/control/admin/schemas.ts";
import { BROWSER_PROGRAMS, startBrowser } from "../support/browser.ts";
import { testWith } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { contrasts } from "./contrast.ts";
import { connectionOf, eventOf, listenerOf, NOW_MS, snapshotOf, targetOf } from "./snapshots.ts";
import { StandIn, type StandInOptions } from "./stand-in.ts";

let started: Promise<Browser> | undefined;
afterAll(async () => (await started)?.close());

interface Stage {
  readonly standIn: StandIn;
  readonly page: Page;
  /** Waits until the page does. */
  shows(text: string | RegExp): Promise<void>;
}

function shown(
  name: string,
  use: (stage: Stage) => Promise<void>,
  options: BrowserContextOptions = {},
  standInOptions: StandInOptions = {},
): void {
  testWith(BROWSER_PROGRAMS, name, async () => {
    await using standIn = await StandIn.start(standInOptions);
    started ??= startBrowser();
    const context = await (
      await started
    ).newContext({ viewport: { width: 1280, height: 900 }, ...options });
    try {
      const page = await context.newPage();
      await page.goto(standIn.url);
      if (standInOptions.token === undefined) await listens(standIn);
      const shows = (text: string | RegExp): Promise<void> =>
        page.getByText(text).first().waitFor({ timeout: 15_000 });
      await use({ standIn, page, shows });
    } finally {
      await context.close();
    }
  });
}

const listens = (standIn: StandIn): Promise<void> =>
  until("the page listens", () => standIn.streams > 0);

/** Something of everything. */
function full(second = 0): Snapshot {
  const timeMs = NOW_MS + second * 1000;
  const changes = {
    added: ["tcp :1"],
    removed: ["tcp :2"],
    changed: [{ listener: "tcp :3", parts: ["targets"] }],
    unchanged: 1,
    settings: ["log_level"],
    deferred: ["workers"],
  };
  return snapshotOf({
    timeMs,
    status: { warnings: ["the disk is nearly full"] },
    listeners: [
      listenerOf({ refused: { denied: 3 + second }, bytes: { up: 0, down: second * 1_000_000 } }),
      listenerOf({ key: "tcp :9090" }),
    ],
    targets: [targetOf({}), targetOf({ slot: 1, name: "127.0.0.1:3001", health: "down" })],
    connections: {
      matching: 2,
      connections: [
        connectionOf({ client: "192.0.2.1:1001", bytesDown: second * 1_000 }),
        connectionOf({ id: 2, client: "192.0.2.2:1002", bytesDown: second * 2_000 }),
      ],
    },
    events: [eventOf({ fields: { listener: "tcp :8080" } }), eventOf({ level: "error" })],
    reloads: [
      { atMs: timeMs - 1_000, cause: "file", taken: false, error: "line 3: no", changes: null },
      { atMs: timeMs - 5_000, cause: "signal", taken: true, error: null, changes },
    ],
    certificates: {
      managed: [],
      files: [{ listener: "tls :443", names: ["a.example"], notAfterMs: timeMs + 5 * 86_400_000 }],
    },
  });
}

describe("names and messages come from the network", () => {
  shown("and are text: nothing of them runs, loads or breaks the policy", async (stage) => {
    const { standIn, page, shows } = stage;
    const elsewhere: string[] = [];
    const wrong: string[] = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(standIn.url) && !request.url().startsWith("data:"))
        elsewhere.push(request.url());
    });
    page.on("pageerror", ({ message }) => wrong.push(message));
    page.on("console", (message) => {
      if (message.type() === "error") wrong.push(message.text());
    });
    await page.evaluate(
      `document.addEventListener("securitypolicyviolation", (event) => console.error(event.blockedURI));`,
    );
    const bad = `<img src="https://elsewhere.example/x" onerror="document.title='ran'"><script>document.title='ran'</script>`;
    standIn.say(
      snapshotOf({
        status: { ready: false, reasons: [bad], version: bad, engine: bad },
        listeners: [
          listenerOf({ key: bad, refused: { [bad]: 1 } }),
          listenerOf({ key: `${bad}2` }),
        ],
        targets: [targetOf({ name: bad, listener: bad, health: "down" })],
        connections: {
          matching: 1,
          connections: [connectionOf({ client: bad, target: bad, listener: bad })],
        },
        events: [eventOf({ message: `event ${bad}`, fields: { [bad]: bad } })],
        certificates: { managed: [], files: [{ listener: bad, names: [bad], notAfterMs: 0 }] },
        reloads: [{ atMs: 0, cause: "file", taken: false, error: bad, changes: null }],
      }),
    );
    await shows(/event <img/);
    expect(await page.locator("img, body script + script").count()).toBe(0);
    expect(await page.title()).toBe("proxy");
    expect([elsewhere, wrong]).toEqual([[], []]);
  });
});

describe("where there is a token", () => {
  const token = { token: "a-token-of-the-test" };
  shown(
    "it is asked for, a wrong one with the reason again, and the tab keeps the right one",
    async ({ standIn, page, shows }) => {
      await page.getByLabel("Token").fill("another");
      await page.keyboard.press("Enter");
      await shows("That is not the token.");
      await page.getByLabel("Token").fill(token.token);
      await page.getByRole("button", { name: "Show the dashboard" }).click();
      await listens(standIn);
      standIn.say(snapshotOf());
      await shows("Ready");
      await page.reload();
      await listens(standIn);
      standIn.say(snapshotOf());
      await shows("Ready");
      await page.getByRole("button", { name: "Reload…" }).click();
      await page.getByRole("button", { name: "Reload", exact: true }).click();
      await until("it is asked for with the token", () => standIn.asked.length === 1);
    },
    {},
    token,
  );
});

describe("a stream that ends", () => {
  shown("is said to, with the last word's time, and goes on", async ({ standIn, page, shows }) => {
    standIn.say(snapshotOf());
    await shows("live");
    standIn.cut();
    await shows(/no word since \d\d:\d\d:\d\d: .*Trying again/);
    await until("it asks again", () => standIn.streams > 0);
    standIn.say(snapshotOf({ timeMs: NOW_MS + 9_000 }));
    await shows("The stream is back.");
    expect(await page.getByText("no word since").count()).toBe(0);
  });
});

describe("what cuts something", () => {
  const answer = ({ method }: { method: string }): unknown =>
    method === "DELETE" ? { closed: 1 } : targetOf({ state: "draining", weight: 3 });

  shown(
    "is asked about first, and can be done by keyboard alone; the outcome is announced",
    async ({ standIn, page, shows }) => {
      standIn.say(full());
      const button = page.getByRole("button", { name: "Close the connection of 192.0.2.2:1002" });
      await button.focus();
      await page.keyboard.press("Enter");
      await shows("Close this connection?");
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      expect(standIn.asked).toEqual([]);
      expect(await page.evaluate("document.activeElement.ariaLabel")).toContain("192.0.2.2:1002");
      await page.keyboard.press("Enter");
      await shows("Close this connection?");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page
        .getByRole("status")
        .getByText("The connection of 192.0.2.2:1002 is closed.")
        .waitFor();
      expect(standIn.asked).toEqual([
        { method: "DELETE", url: "/api/connections?worker=0&id=2", body: "" },
      ]);
    },
    {},
    { answer },
  );

  shown(
    "a target gets another state and weight in one question",
    async ({ standIn, page }) => {
      standIn.say(full());
      await page.getByRole("button", { name: "Change 127.0.0.1:3000 of tcp :8080" }).click();
      await page.getByLabel(/^draining/).check();
      await page.getByLabel(/^Weight/).fill("3");
      await page.getByRole("button", { name: "Apply" }).click();
      await page.getByRole("status").getByText("127.0.0.1:3000 is draining, weight 3.").waitFor();
      const body = {
        listener: "tcp :8080",
        target: "127.0.0.1:3000",
        state: "draining",
        weight: 3,
      };
      expect(standIn.asked.map((each) => [each.url, JSON.parse(each.body)])).toEqual([
        ["/api/targets", body],
      ]);
    },
    {},
    { answer },
  );
});

shown(
  "rows stay where they are while the pointer is among them",
  async ({ standIn, page, shows }) => {
    const clients = (): Promise<string[]> =>
      page.locator("#connections tbody th").allTextContents();
    const busiest = (id: number, second: number): Snapshot =>
      snapshotOf({
        timeMs: NOW_MS + second * 1000,
        status: { uptimeSeconds: second },
        connections: {
          matching: 2,
          connections: [1, 2].map((each) =>
            connectionOf({
              id: each,
              client: `192.0.2.${each}`,
              bytesUp: each === id ? second * 100 : 0,
            }),
          ),
        },
      });
    standIn.say(busiest(1, 10), busiest(1, 20));
    await shows("up 20 s");
    expect(await clients()).toEqual(["192.0.2.1", "192.0.2.2"]);
    await page.locator("#connections tbody th").first().hover();
    standIn.say(busiest(2, 30), busiest(2, 40));
    await shows("up 40 s");
    expect(await clients()).toEqual(["192.0.2.1", "192.0.2.2"]);
    await page.mouse.move(0, 0);
    standIn.say(busiest(2, 50));
    await shows("up 50 s");
    expect(await clients()).toEqual(["192.0.2.2", "192.0.2.1"]);
  },
);

shown("colours that somebody chose are kept", async ({ standIn, page }) => {
  const scheme = (): Promise<unknown> =>
    page.evaluate("getComputedStyle(document.body).colorScheme");
  expect(await scheme()).toBe("light dark");
  await page.getByLabel("dark").check();
  expect(await scheme()).toBe("dark");
  await page.reload();
  await listens(standIn);
  expect(await scheme()).toBe("dark");
  await page.getByLabel("auto").check();
  expect(await scheme()).toBe("light dark");
});

for (const colorScheme of ["light", "dark"] as const) {
  shown(
    `every text can be read on its background: ${colorScheme}`,
    async ({ standIn, page, shows }) => {
      standIn.say(full(1), full(2));
      await shows("127.0.0.1:3001 of tcp :8080 is down");
      await page.getByRole("button", { name: "Change 127.0.0.1:3000 of tcp :8080" }).click();
      const found = await contrasts(page);
      expect(found.length).toBeGreaterThan(5);
      expect(found.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
    },
    { colorScheme },
  );
}

for (const width of [360, 768, 1024]) {
  shown(
    `nothing is wider than a screen of ${width} px`,
    async ({ standIn, page, shows }) => {
      standIn.say(full(1), full(2));
      await shows("127.0.0.1:3001 of tcp :8080 is down");
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    },
    { viewport: { width, height: 780 } },
  );
}

shown(
  "whatever can be pressed or filled in has a name, and charts are told as tables",
  async (stage) => {
    const { standIn, page, shows } = stage;
    standIn.say(full(1), full(2));
    await shows("127.0.0.1:3001 of tcp :8080 is down");
    const names = (await page.evaluate(`
      [...document.querySelectorAll("button, input, select, summary")].map((each) =>
        (each.ariaLabel ?? each.labels?.[0]?.textContent ?? each.textContent).trim())
    `)) as string[];
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => name === "")).toEqual([]);
    await page.getByText("as a table").first().click();
    const table = page.getByRole("table", { name: "Traffic, the last 5 min" });
    expect(await table.getByRole("row").count()).toBeGreaterThan(1);
    expect(await table.textContent()).toContain("8.00 Mbit/s");
  },
);

shown("what scrolls in a list makes the page no longer", async ({ standIn, page, shows }) => {
  standIn.say(crowd(100));
  await shows("pid 100 ");
  const below = await page.evaluate(
    "document.documentElement.scrollHeight - document.querySelector('main').getBoundingClientRect().bottom",
  );
  expect(below).toBeLessThan(60);
});

shown(
  "what came before the last ten minutes leaves nothing behind",
  async ({ standIn, page, shows }) => {
    const session = await page.context().newCDPSession(page);
    const say = async (from: number, to: number): Promise<void> => {
      for (let second = from; second < to; second += 100) {
        standIn.say(...Array.from({ length: 100 }, (_, i) => crowd(second + i)));
        await shows(`pid ${second + 99} `);
      }
    };
    const held = async (): Promise<{ bytes: number; nodes: number }> => {
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize } = await session.send("Runtime.getHeapUsage");
      const { nodes } = await session.send("Memory.getDOMCounters");
      return { bytes: usedSize, nodes };
    };
    await say(0, 700);
    const before = await held();
    await say(700, 1_500);
    const after = await held();
    // Snapshots that stay would be 28 MB; what the heap has of its own goes up and down by 1 MB.
    expect(after.bytes - before.bytes).toBeLessThan(5_000_000);
    expect(after.nodes - before.nodes).toBeLessThan(500);
  },
);

/** 200 connections, of which some end and others begin. */
function crowd(second: number): Snapshot {
  const connections = Array.from({ length: 200 }, (_, i) =>
    connectionOf({ id: i + second, client: `192.0.2.7:${i + second}`, bytesUp: second * i }),
  );
  const events = Array.from({ length: 50 }, (_, i) =>
    eventOf({ timeMs: NOW_MS + (second - i) * 1000 }),
  );
  return snapshotOf({
    timeMs: NOW_MS + second * 1000,
    status: { pid: second, uptimeSeconds: second },
    connections: { matching: 200, connections },
    events,
  });
}
