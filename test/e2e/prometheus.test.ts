// A real Prometheus scrapes the proxy, is asked for values over its own API, takes the alert rules and answers every question
// of the dashboard.

import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { startProxy } from "../commands/proxy-process.ts";
import { Authority } from "../support/certificates.ts";
import { Daemon, freePort, inFolder, run } from "../support/daemon.ts";
import { program, testWith } from "../support/programs.ts";
import { until, within } from "../support/until.ts";

const PACKAGING = join(import.meta.dir, "../../packaging");
const ALERTS = join(PACKAGING, "prometheus/alerts.yaml");
const ALERT_TESTS = join(import.meta.dir, "../packaging/alerts.yaml");
const DASHBOARD = join(PACKAGING, "grafana/dashboard.json");
const TOKEN = "a-token-of-more-than-sixteen-bytes";

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
}

function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

interface Found {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

function panels(): Panel[] {
  return (JSON.parse(readFileSync(DASHBOARD, "utf8")) as { panels: Panel[] }).panels;
}

/** With the variables filled in, as Grafana does. */
const questions = (): string[] =>
  panels()
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .map((expr) =>
      expr
        .replaceAll("$__rate_interval", "1m")
        .replaceAll("$job", "proxy")
        .replaceAll(/\$(instance|listener)/g, ".*"),
    );

class Prometheus {
  readonly #daemon: Daemon;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`http://${this.#daemon.address}/-/ready`)).ok;
  }

  async ask<T>(path: string, query: Record<string, string> = {}): Promise<T> {
    const url = `http://${this.#daemon.address}/api/v1/${path}?${new URLSearchParams(query)}`;
    const answer = (await (await fetch(url)).json()) as { status: string; data: T; error?: string };
    expect([answer.error, answer.status]).toEqual([undefined, "success"]);
    return answer.data;
  }

  async values(query: string): Promise<readonly Found[]> {
    return (await this.ask<{ result: Found[] }>("query", { query })).result;
  }
}

function startPrometheus(scraped: string, tokenFile: string): Promise<Daemon> {
  return Daemon.start((folder, port) => {
    const config = {
      global: { scrape_interval: "500ms", scrape_timeout: "500ms" },
      rule_files: [ALERTS],
      scrape_configs: [
        {
          job_name: "proxy",
          authorization: { credentials_file: tokenFile },
          static_configs: [{ targets: [scraped] }],
        },
      ],
    };
    writeFileSync(join(folder, "prometheus.yml"), stringify(config));
    return [
      program("prometheus"),
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
  });
}

async function check(folder: string): Promise<void> {
  using authority = new Authority();
  const { certFile, keyFile } = authority.issue(["localhost"]);
  using backend = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  const [adminPort, httpPort] = [await freePort(), await freePort()];
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, TOKEN);
  const target = `127.0.0.1:${backend.port}`;
  const file = join(folder, "proxy.yaml");
  const config = {
    admin: { listen: `127.0.0.1:${adminPort}`, token_file: tokenFile },
    tls: { cert_file: certFile, key_file: keyFile },
    protocols: [
      { name: "http", listen: `127.0.0.1:${httpPort}`, target },
      { name: "http2", listen: "127.0.0.1:0", target },
      { name: "udp", listen: "127.0.0.1:0", target },
    ],
  };
  writeFileSync(file, stringify(config));
  const child = startProxy("-config", file, "-log-format", "json");
  await child.line(/"msg":"started"/);
  for (let i = 0; i < 5; i++) await (await fetch(`http://127.0.0.1:${httpPort}/`)).text();
  try {
    await using daemon = await startPrometheus(`127.0.0.1:${adminPort}`, tokenFile);
    const prometheus = new Prometheus(daemon);
    await until("it is ready", () => prometheus.isReady());
    const requests = `sum by (listener) (proxy_http_responses_total{class="2xx"})`;
    await until(
      "it has scraped",
      async () => (await prometheus.values(requests)).length > 0,
      30_000,
    );
    const answered = await prometheus.values(requests);
    const of = (listener: string) => answered.find(({ metric }) => metric.listener === listener);
    expect(of(`http 127.0.0.1:${httpPort}`)?.value[1]).toBe("5");
    expect((await prometheus.values("proxy_ready"))[0]?.value[1]).toBe("1");
    const names = new Set(await prometheus.ask<string[]>("label/__name__/values"));
    for (const query of [...questions(), ...(await alertQueries(prometheus))]) {
      await prometheus.values(query);
      const asked = query.match(/\b(proxy|process)_\w+/g) ?? [];
      // Of certificates that are obtained, and there is none.
      const missing = asked.filter(
        (name) => !names.has(name) && !/^proxy_certificate_(valid|failed_attempts)$/.test(name),
      );
      expect([query, missing]).toEqual([query, []]);
    }
    const alerts = await prometheus.ask<{ alerts: { state: string }[] }>("alerts");
    expect(alerts.alerts.filter(({ state }) => state === "firing")).toEqual([]);
  } finally {
    child.kill("SIGTERM");
  }
  expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
}

async function alertQueries(prometheus: Prometheus): Promise<string[]> {
  const { groups } = await prometheus.ask<{ groups: { rules: { query: string }[] }[] }>("rules");
  const queries = groups.flatMap(({ rules }) => rules.map(({ query }) => query));
  expect(queries.length).toBeGreaterThan(5);
  return queries;
}

describe("Prometheus", () => {
  testWith(
    ["prometheus"],
    "scrapes the proxy, and has what the dashboard and the alerts ask for",
    () => inFolder(check),
    90_000,
  );

  testWith(["promtool"], "takes the alert rules", async () => {
    const { stdout } = await run([program("promtool"), "check", "rules", ALERTS]);
    expect(stdout).toContain("SUCCESS");
  });

  testWith(["promtool"], "fires each alert when there is a reason, and only then", async () => {
    const { stdout, stderr } = await run([program("promtool"), "test", "rules", ALERT_TESTS]);
    expect(stdout + stderr).toContain("SUCCESS");
    const alerts = readFileSync(ALERTS, "utf8").match(/(?<=- alert: )\w+/g) ?? [];
    const tests = readFileSync(ALERT_TESTS, "utf8");
    const untested = alerts.filter(
      (alert) => !["fires", "is quiet"].every((what) => tests.includes(`name: ${alert} ${what}`)),
    );
    expect(untested).toEqual([]);
  });
});

test("the dashboard's panels have ids of their own, and questions", () => {
  const all = panels();
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  const overlapping = all.filter((one, i) => all.slice(0, i).some((other) => overlap(one, other)));
  expect(overlapping.map(({ title }) => title)).toEqual([]);
  const silent = all.filter(({ type, targets = [] }) => type !== "row" && targets.length === 0);
  expect(silent.map(({ title }) => title)).toEqual([]);
});
