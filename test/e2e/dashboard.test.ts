// The dashboard of a proxy that runs, in Chromium: it shows what passes, closes a connection and drains a target.

import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { stringify } from "yaml";

import { startProxy } from "../commands/proxy-process.ts";
import { BROWSER_PROGRAMS, startBrowser } from "../support/browser.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { testWith } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

interface Stage {
  readonly page: Page;
  /** Of a listener of tcp, before an echo. */
  readonly tcp: number;
  /** Of a listener of http. */
  readonly http: number;
  readonly backend: string;
}

async function withDashboard(use: (stage: Stage) => Promise<void>): Promise<void> {
  await using echo = await WireServer.echo();
  await using app = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("hello"),
  });
  await inFolder(async (folder) => {
    const [tcp, http, admin] = [await freePort(), await freePort(), await freePort()];
    const backend = `127.0.0.1:${app.port}`;
    const file = join(folder, "proxy.yaml");
    const protocols = [
      { name: "tcp", listen: `127.0.0.1:${tcp}`, target: echo.target },
      { name: "http", listen: `127.0.0.1:${http}`, target: backend },
    ];
    writeFileSync(file, stringify({ admin: { listen: `127.0.0.1:${admin}` }, protocols }));
    const child = startProxy("-config", file, "-log-format", "json");
    const browser = await startBrowser();
    try {
      await child.line(/"msg":"started"/);
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${admin}/`);
      await page.getByText("Ready", { exact: true }).waitFor();
      await use({ page, tcp, http, backend });
    } finally {
      await browser.close();
      child.kill("SIGINT");
      child.kill("SIGTERM");
    }
    await child.outcome;
  });
}

/** The row of this table that has this text. */
const row = (page: Page, table: string, text: string) =>
  page.getByRole("table", { name: table, exact: true }).getByRole("row").filter({ hasText: text });

testWith(BROWSER_PROGRAMS, "it shows what passes while it passes, and closes a connection", () =>
  withDashboard(async ({ page, tcp }) => {
    await page.getByText("No connection is open.").waitFor();
    const wire = await Wire.connect({ host: "127.0.0.1", port: tcp });
    const echoed = wire.readBytes(100_000);
    await wire.write(new Uint8Array(100_000));
    await echoed;
    const listener = row(page, "Listeners", `tcp 127.0.0.1:${tcp}`);
    await listener.getByText("1 conn. · 200 kB").waitFor();
    const connection = row(page, "Connections", `tcp 127.0.0.1:${tcp}`);
    expect(await connection.getByText("100 kB").count()).toBe(2);
    await page.getByRole("button", { name: /^Close the connection of/ }).click();
    await page.getByRole("button", { name: "Close it" }).click();
    await page
      .getByRole("status")
      .getByText(/^The connection of .* is closed\.$/)
      .waitFor();
    expect(await wire.ending).toBe("ECONNRESET");
    await page.getByRole("heading", { name: "Listeners" }).click(); // rows go when nobody points there
    await page.getByText("No connection is open.").waitFor();
  }),
);

testWith(
  BROWSER_PROGRAMS,
  "requests and how long they took are shown; a target is drained, and taken back",
  () =>
    withDashboard(async ({ page, http, backend }) => {
      const ask = async (): Promise<number> => {
        const answer = await fetch(`http://127.0.0.1:${http}/`);
        await answer.text();
        return answer.status;
      };
      const figure = page.locator(".figures div", { hasText: "Requests" }).locator("dd");
      await until("requests are shown", async () => {
        for (let i = 0; i < 20; i++) expect(await ask()).toBe(200);
        return Number.parseFloat((await figure.textContent())!) > 0;
      });
      expect(await row(page, "Listeners", `http 127.0.0.1:${http}`).textContent()).toMatch(/\d ms/);

      const change = page.getByRole("button", { name: `Change ${backend}` });
      await change.click();
      await page.getByLabel(/^draining/).check();
      await page.getByRole("button", { name: "Apply" }).click();
      await page.getByRole("status").getByText(`${backend} is draining, weight 1.`).waitFor();
      await row(page, "Targets", backend).getByText("draining").waitFor();
      await page.getByText(`target ${backend} of http 127.0.0.1:${http} is draining`).waitFor();
      expect(await ask()).toBe(503);
      await row(page, "Refusals by reason", "target_down").waitFor();

      await change.click();
      await page.getByLabel(/^enabled/).check();
      await page.getByRole("button", { name: "Apply" }).click();
      await row(page, "Targets", backend).getByText("up", { exact: true }).waitFor();
      expect(await ask()).toBe(200);
    }),
);

testWith(BROWSER_PROGRAMS, "a reload that is asked for here is told with what it changed", () =>
  withDashboard(async ({ page }) => {
    await page.getByRole("button", { name: "Reload…" }).click();
    await page.getByRole("button", { name: "Reload", exact: true }).click();
    await page.getByRole("status").getByText("Reloaded: nothing was different.").waitFor();
    await page
      .getByRole("list", { name: "Reloads, newest first" })
      .getByText("asked for here")
      .waitFor();
    await page.getByText("what is served").click();
    await page.locator("pre").getByText("admin").waitFor();
  }),
);
