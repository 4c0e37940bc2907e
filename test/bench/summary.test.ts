// What the project's README says about speed, made of results.
import { describe, expect, test } from "bun:test";

import type { Column } from "../../bench/engine/measurement.ts";
import type { Machine } from "../../bench/machine.ts";
import { spread } from "../../bench/statistics.ts";
import {
  datagrams,
  gateways,
  headline,
  losses,
  overview,
  pace,
  type Published,
  scaling,
  tuned,
} from "../../bench/summary.ts";

const machine: Machine = {
  cpu: "a processor",
  cores: 2,
  memoryGib: 1,
  system: "linux",
  bun: "1",
  engine: "uring",
  iperf3: "3",
  date: "2026-01-01",
  commit: "abc",
};

type Figures = Record<string, number>;

const HIGHER = new Set(["rate"]);

function result(name: string, contestants: Record<string, Figures>, engine = "uring"): Published {
  const keys = [...new Set(Object.values(contestants).flatMap((figures) => Object.keys(figures)))];
  const columns = keys.map((key): Column => ({
    key,
    title: key,
    digits: 1,
    better: HIGHER.has(key) ? "higher" : "lower",
  }));
  return {
    machine: { ...machine, engine },
    name,
    title: name,
    columns,
    runs: 1,
    contestants: Object.entries(contestants).map(([contestant, figures]) => ({
      name: contestant,
      setup: `the same with ${contestant}`,
      version: "1",
      figures: Object.fromEntries(Object.entries(figures).map(([k, v]) => [k, spread([v])])),
    })),
  };
}

const bulk = {
  direct: { rate: 20, cpuMs: 0 },
  "proxy-uring": { rate: 9, cpuMs: 400 },
  "proxy-epoll": { rate: 8.04, cpuMs: 500 },
  "proxy-bun": { rate: 11, cpuMs: 300 },
  nginx: { rate: 5, cpuMs: 900 },
  "nginx-tuned": { rate: 7, cpuMs: 800 },
  haproxy: { rate: 8.96, cpuMs: 850 },
};

describe("overview", () => {
  const lines = overview([result("bulk-1", bulk)]).split("\n");

  test("has a column for each contestant that is compared and that there are results of", () => {
    expect(lines[0]).toBe("|  | **proxy**, uring | **proxy**, epoll | nginx | haproxy |");
  });

  test("what is best is bold, be it much or little, and so is what reads the same", () => {
    expect(lines[2]).toBe("| Bulk, 1 stream, Gbit/s | **9.0** | 8.0 | 5.0 | **9.0** |");
    expect(lines[3]).toBe("| CPU ms for 1 GB | **400.0** | 500.0 | 900.0 | 850.0 |");
  });

  test("leaves empty what was not measured", () => {
    const idle = result("idle", { "proxy-uring": { userKib: 2 }, haproxy: { userKib: 3 } });
    const last = overview([result("bulk-1", bulk), idle])
      .split("\n")
      .at(-1);
    expect(last).toBe("| KiB for an idle connection | **2.0** |  |  | 3.0 |");
  });
});

describe("gateways", () => {
  const small = result("http1-small", {
    direct: { rate: 9, cpuUs: 0 },
    caddy: { rate: 1, cpuUs: 90 },
    "nginx-http": { rate: 5, cpuUs: 20 },
    "haproxy-http": { rate: 4, cpuUs: 40 },
    "proxy-http": { rate: 6, cpuUs: 30 },
  });

  test("have a table of their own, under the names of the programs", () => {
    const lines = gateways([result("bulk-1", bulk), small]).split("\n");
    expect(lines[0]).toBe("|  | **proxy** | nginx | haproxy | caddy |");
    expect(lines[2]).toEndWith("requests/s | **6.0** | 5.0 | 4.0 | 1.0 |");
    expect(lines[3]).toBe("| CPU µs for one request | 30.0 | **20.0** | 40.0 | 90.0 |");
    expect(lines).toHaveLength(4);
  });

  test("are left out where none was measured", () => {
    expect(gateways([result("bulk-1", bulk)])).toBe("");
  });
});

describe("relays of datagrams", () => {
  test("have a table of their own, under the names of the programs", () => {
    const measured = result("udp-64", {
      direct: { rate: 9, cpuUs: 0 },
      "nginx-udp": { rate: 5, cpuUs: 10 },
      "proxy-udp": { rate: 6, cpuUs: 20 },
    });
    const lines = datagrams([result("bulk-1", bulk), measured]).split("\n");
    expect(lines[0]).toBe("|  | **proxy** | nginx |");
    expect(lines.slice(2)).toEqual([
      "| 64 clients | **6.0** | 5.0 |",
      "| CPU µs for one question | 20.0 | **10.0** |",
    ]);
  });

  test("are left out where none was measured", () => {
    expect(datagrams([result("bulk-1", bulk)])).toBe("");
  });
});

describe("headline", () => {
  test("is of the engine that auto took where the results were made", () => {
    expect(headline([result("bulk-1", bulk)])).toContain("**9.0 Gbit/s** (nginx 5.0, haproxy 9.0)");
    const epoll = headline([result("bulk-1", bulk, "epoll")]);
    expect(epoll).toContain("**8.0 Gbit/s** (nginx 5.0, haproxy 9.0)");
    expect(epoll).toContain("on 2 cores");
  });

  test("says nothing where nothing was measured", () => {
    expect(headline([])).toBe("");
    expect(headline([result("bulk-1", bulk, "none")])).toBe("");
  });
});

describe("losses", () => {
  test("are against the direct connection, next to what the original says of itself", () => {
    const text = losses([
      result("seed-throughput", { direct: { rate: 200 }, "proxy-uring": { rate: 150 } }),
      result("seed-latency", { direct: { echoMs: 0.1 }, "proxy-uring": { echoMs: 0.35 } }),
    ]);
    expect(text).toContain("| Throughput, MB/s | 200.0 | 25.0 % | 43.3 % |");
    expect(text).toContain("| Latency, ms | 0.1 | +0.250 ms | +0.102 ms |");
  });

  test("need a direct connection", () => {
    expect(losses([result("seed-latency", { nginx: { echoMs: 1 } })])).toBe("");
  });
});

describe("sentences", () => {
  test("on scaling set two workers against one", () => {
    const measured = result("scaling", {
      "proxy-uring": { rate: 100, cpuUs: 20 },
      "proxy-uring-2": { rate: 150, cpuUs: 22 },
      nginx: { rate: 100, cpuUs: 20 },
    });
    expect(scaling([measured])).toEndWith("times those of one: proxy, uring 1.50 and 1.10.");
    expect(scaling([])).toBe("");
  });

  test("on latency say at which pace it was measured", () => {
    const measured = { ...result("latency", { nginx: { p99Us: 1 } }), note: "9 are sent." };
    expect(pace([measured])).toEndWith("due: 9 are sent.");
    expect(pace([result("latency", { nginx: { p99Us: 1 } })])).toBe("");
  });

  test("on peers set up for bulk name their setting", () => {
    expect(tuned([result("bulk-1", bulk)])).toEndWith(
      "nginx (nginx-tuned) 7.00 Gbit/s at 800.0 ms of CPU for a gigabyte.",
    );
    expect(tuned([])).toBe("");
  });
});
