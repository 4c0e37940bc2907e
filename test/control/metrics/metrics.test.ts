// Metrics of a proxy that has served: values, both formats, and names and labels that Prometheus' own checker finds nothing
// wrong with.

import { describe, expect, test } from "bun:test";

import { checkSource } from "../../../src/config/check.ts";
import { compile } from "../../../src/control/compile.ts";
import { scrape } from "../../../src/control/metrics/metrics.ts";
import { takeReading } from "../../../src/control/metrics/reading.ts";
import { Proxy } from "../../../src/control/proxy.ts";
import { Authority } from "../../support/certificates.ts";
import { run } from "../../support/daemon.ts";
import { program, testWith } from "../../support/programs.ts";

const MACHINE = { platform: process.platform, cpus: 1, folder: "/", terminal: false };
const NONE = { taken: 1, refused: 2, lastTakenMs: 1_500 };

const routesTo = (target: string) => [
  { match: { host: "api.example", path: ["/v1/*", "/v2/*"] }, target },
  { name: "moved", match: { path: "/old" }, redirect: { to: "/new" } },
];

async function withProxy(
  use: (text: (accept?: string, prefix?: string) => Promise<string>, proxy: Proxy) => Promise<void>,
): Promise<void> {
  using authority = new Authority();
  const { certFile, keyFile } = authority.issue(["a.example", "b.example"]);
  using backend = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  const target = `127.0.0.1:${backend.port}`;
  const value = {
    workers: 1,
    tls: { cert_file: certFile, key_file: keyFile },
    protocols: [
      { name: "tcp", listen: "127.0.0.1:0", target },
      { name: "http", listen: "127.0.0.1:0", routes: routesTo(target), target },
      { name: "udp", listen: "127.0.0.1:0", target },
      { name: "http2", listen: "127.0.0.1:0", target },
    ],
  };
  const config = checkSource({ value, place: () => ({ text: "test", order: 0 }) });
  await using proxy = await Proxy.start(compile(config, MACHINE));
  const subject = {
    phase: "serving",
    proxy,
    refusal: null,
    reloads: NONE,
    logLevel: "info",
  } as const;
  await use(async (accept = "", prefix = "proxy_") => {
    const { text } = await scrape(takeReading(subject), prefix, accept);
    return text;
  }, proxy);
}

function portOf(proxy: Proxy, key: string): number {
  const bound = proxy.listeners().find((listener) => listener.key === key)?.bound[0];
  if (bound?.kind !== "ip") throw new Error(`${key} is not open`);
  return bound.port;
}

/** `name{labels} value` by what stands before the value. */
function valuesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

describe("metrics", () => {
  test("have what was counted, and when certificates end", () =>
    withProxy(async (text, proxy) => {
      const url = `http://127.0.0.1:${portOf(proxy, "http 127.0.0.1:0")}`;
      for (let i = 0; i < 3; i++) await (await fetch(url)).text();
      const values = valuesOf(await text());
      const http = 'listener="http 127.0.0.1:0"';
      const own = `${http},route="default"`;
      expect(values.get(`proxy_http_requests_total{${own}}`)).toBe(3);
      expect(values.get(`proxy_http_responses_total{${own},class="2xx"}`)).toBe(3);
      expect(values.get(`proxy_http_own_responses_total{${own},class="4xx"}`)).toBe(0);
      expect(values.get(`proxy_connections_total{listener="tcp 127.0.0.1:0"}`)).toBe(0);
      expect(values.get('proxy_workers{kind="relay"}')).toBe(1);
      expect(values.get('proxy_workers{kind="gateway"}')).toBe(1);
      expect(values.get("proxy_ready")).toBe(1);
      for (const worker of ["control", "0", "1"]) {
        expect(values.get(`proxy_event_loop_lag_seconds{worker="${worker}"}`)).toBeNumber();
      }
      for (const reason of ["lag", "memory", "descriptors"]) {
        expect(values.get(`proxy_overloaded{reason="${reason}"}`)).toBe(0);
      }
      expect(values.get('proxy_config_reloads_total{outcome="refused"}')).toBe(2);
      expect(values.get("proxy_config_last_reload_success_timestamp_seconds")).toBe(1.5);
      const ends = values.get(
        'proxy_certificate_expiry_timestamp_seconds{names="a.example,b.example",source="file"}',
      );
      expect(ends).toBeGreaterThan(Date.now() / 1_000);
      expect(values.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
      const took = [...values].filter(([key]) => key.startsWith("proxy_http_request_duration"));
      const counts = took.filter(([key]) => key.includes(own)).map(([, value]) => value);
      expect(counts.at(-1)).toBe(3); // _count, after the buckets, which never go down, and _sum
      expect(counts.at(-3)).toBe(3);
      expect(counts.slice(0, -2)).toEqual(counts.slice(0, -2).toSorted((a, b) => a - b));
      // What a listener does not do has no metrics.
      expect([...values.keys()].some((key) => /^proxy_http.*tcp/.test(key))).toBe(false);
      expect(
        [...values.keys()].filter((key) => key.startsWith("proxy_datagrams_total")),
      ).toHaveLength(2);
    }));

  test("tell routes apart, and requests that none takes", () =>
    withProxy(async (text, proxy) => {
      const url = `http://127.0.0.1:${portOf(proxy, "http 127.0.0.1:0")}`;
      const ask = async (path: string, host: string, method = "GET"): Promise<unknown> => {
        const headers = { host };
        return (await fetch(`${url}${path}`, { method, headers, redirect: "manual" })).text();
      };
      await ask("/v1/a", "api.example");
      await ask("/v2/a", "api.example");
      await ask("/old", "www.example");
      await ask("/a", "www.example", "TRACE").catch(() => {});
      const values = valuesOf(await text());
      const count = (family: string, route: string, more = ""): number | undefined =>
        values.get(`proxy_${family}{listener="http 127.0.0.1:0",route="${route}"${more}}`);
      const api = "api.example/v1/* +1";
      expect(count("http_requests_total", api)).toBe(2);
      expect(count("http_request_duration_seconds_count", api)).toBe(2);
      expect(count("http_own_responses_total", "moved", ',class="3xx"')).toBe(1);
      expect(count("http_responses_total", "none", ',class="4xx"')).toBe(1);
      expect(count("http_requests_total", "default")).toBe(0);
      const [first] = proxy.stats().listeners["http 127.0.0.1:0"]!.targets;
      const target = `,target="${first!.name}"`;
      expect(count("target_connections_total", api, target)).toBe(1);
      expect(count("target_state", api, `${target},state="up"`)).toBe(1);
      expect(count("target_connections_total", "default", target)).toBe(0);
    }));

  test("tell handshakes apart, and versions of HTTP", () =>
    withProxy(async (text, proxy) => {
      const key = "http2 127.0.0.1:0";
      const url = `https://localhost:${portOf(proxy, key)}`;
      const options = { tls: { rejectUnauthorized: false }, keepalive: false };
      expect((await fetch(url, options)).status).toBe(200);
      const values = valuesOf(await text());
      const of = (family: string, labels: string) =>
        values.get(`proxy_${family}{listener="${key}",${labels}}`);
      expect(of("tls_handshakes_total", 'version="TLSv1.3",resumed="false"')).toBe(1);
      expect(of("tls_handshakes_total", 'version="TLSv1.3",resumed="true"')).toBe(0);
      expect(of("http_version_requests_total", 'version="1.1"')).toBe(1);
      expect(of("http_version_requests_total", 'version="3"')).toBe(0);
      const clear = [...values.keys()].filter((each) => /^proxy_tls_.*"http 127/.test(each));
      expect(clear).toEqual([]);
    }));

  test("say what the operator wants of a target, and what workers hold it for", () =>
    withProxy(async (text, proxy) => {
      const [key] = [...proxy.targets().keys()];
      const [target] = proxy.targets().get(key!)!;
      const of = (values: Map<string, number>, family: string, more = ""): number | undefined =>
        values.get(
          `proxy_${family}{listener="${key}",route="default",target="${target!.name}"${more}}`,
        );
      const before = valuesOf(await text());
      expect(of(before, "target_mode", ',mode="enabled"')).toBe(1);
      expect(of(before, "target_weight")).toBe(1);
      expect(of(before, "target_state", ',state="up"')).toBe(1);
      expect(of(before, "target_ejections_total")).toBe(0);
      expect(proxy.wish(key!, target!.name, { mode: "draining", weight: 7 })).toBe(true);
      const after = valuesOf(await text());
      expect(of(after, "target_mode", ',mode="enabled"')).toBe(0);
      expect(of(after, "target_mode", ',mode="draining"')).toBe(1);
      expect(of(after, "target_weight")).toBe(7);
    }));

  test("begin with the prefix that was asked for, but for those that every program has", () =>
    withProxy(async (text) => {
      const names = [...valuesOf(await text("", "edge_")).keys()];
      expect(names.filter((name) => !/^(edge|process)_/.test(name))).toEqual([]);
    }));

  test("are OpenMetrics for whoever accepts that", () =>
    withProxy(async (text) => {
      const open = await text("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
      expect(open).toEndWith("# EOF\n");
      expect(open).toContain("# TYPE proxy_connections counter");
      expect(open).toContain('proxy_connections_total{listener="tcp 127.0.0.1:0"} 0');
    }));

  testWith(["promtool"], "are as Prometheus wants names, units and help", () =>
    withProxy(async (text) => {
      const command = [program("promtool"), "check", "metrics"];
      const { stdout, stderr } = await run(command, { stdin: Buffer.from(await text()) });
      expect(stdout + stderr).toBe("");
    }),
  );
});
