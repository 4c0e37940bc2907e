// What the project's README says about speed: the sentence on the first screen, and the tables of what matters most.
// The engine that stands for the program is the one that `auto` took where the results were made. Pure: results in,
// Markdown out. Called by publish.ts.

import type { Column } from "./engine/measurement.ts";
import type { Machine } from "./machine.ts";
import { formatNumber, type Result } from "./report.ts";

/** What one file in bench/results holds. */
export type Published = Result & { machine: Machine };

/** The columns; all others are in the full tables. */
const SHOWN = ["proxy-uring", "proxy-epoll", "nginx", "haproxy", "go"];

/** The rows, as measurement and column. */
const ROWS = [
  ["bulk-1", "rate", "Bulk, 1 stream, Gbit/s"],
  ["bulk-1", "cpuMs", "CPU ms for 1 GB"],
  ["bulk-8", "rate", "Bulk, 8 streams, Gbit/s"],
  ["bulk-8", "cpuMs", "CPU ms for 1 GB"],
  ["pingpong-1", "rate", "64 B ping-pong, 1 connection, messages/s"],
  ["pingpong-64", "rate", "64 connections"],
  ["pingpong-64", "cpuUs", "CPU µs for one message"],
  ["pingpong-512", "rate", "512 connections"],
  ["pingpong-512", "cpuUs", "CPU µs for one message"],
  ["pingpong-4096", "rate", "4,096 connections"],
  ["pingpong-64-4k", "rate", "4 KiB ping-pong, 64 connections, messages/s"],
  ["pingpong-64-4k", "cpuUs", "CPU µs for one message"],
  ["latency", "p50Us", "Latency at half load, median µs"],
  ["latency", "p99Us", "99th percentile µs"],
  ["latency", "p999Us", "99.9th percentile µs"],
  ["connect", "rate", "Connections one after another, per second"],
  ["connect-one-core", "rate", "the same, all on one core"],
  ["connect-16", "rate", "16 at once"],
  ["connect-16", "cpuUs", "CPU µs for one connection"],
  ["idle", "userKib", "KiB for an idle connection"],
] as const;

/** The original's own figures (its README): what is lost through it. */
const ORIGINAL = [
  { name: "seed-throughput", column: "rate", title: "Throughput, MB/s", lost: "43.3 %" },
  { name: "seed-latency", column: "echoMs", title: "Latency, ms", lost: "+0.102 ms" },
  { name: "seed-concurrency", column: "rate", title: "Concurrent requests/s", lost: "27.5 %" },
] as const;

/** Those that forward requests, and their rows. */
const GATEWAYS = ["proxy-http", "nginx-http", "haproxy-http", "caddy"];
const GATEWAY_ROWS = [
  ["http1-small", "rate", "HTTP/1.1, 64 connections, 100 B, requests/s"],
  ["http1-small", "cpuUs", "CPU µs for one request"],
  ["http1-small", "p99Us", "99th percentile µs"],
  ["http2-small", "rate", "HTTP/2 over TLS, 16 × 16 streams, 100 B, requests/s"],
  ["http2-small", "cpuUs", "CPU µs for one request"],
  ["http2-small", "p99Us", "99th percentile µs"],
  ["h2c-small", "rate", "the same in clear, requests/s"],
  ["h2c-small", "cpuUs", "CPU µs for one request"],
  ["http1-1m", "rate", "HTTP/1.1, 1 MiB, Gbit/s"],
  ["http1-1m", "cpuMs", "CPU ms for 1 GB"],
  ["http2-1m", "rate", "HTTP/2 over TLS, 1 MiB, Gbit/s"],
  ["http2-1m", "cpuMs", "CPU ms for 1 GB"],
  ["tls-handshakes", "rate", "TLS handshakes/s"],
  ["tls-handshakes", "cpuUs", "CPU µs for one handshake"],
  ["websocket-echo", "rate", "WebSocket echo, messages/s"],
  ["websocket-echo", "cpuUs", "CPU µs for one message"],
  ["grpc-unary", "rate", "gRPC unary, calls/s"],
  ["grpc-unary", "cpuUs", "CPU µs for one call"],
] as const;

/** Those that forward datagrams, and their rows. */
const DATAGRAM_RELAYS = ["proxy-udp", "nginx-udp", "go-udp", "gost-udp"];
const DATAGRAM_ROWS = [
  ["udp-1", "rate", "Question and answer, 64 B, 1 client, answers/s"],
  ["udp-1", "cpuUs", "CPU µs for one question"],
  ["udp-64", "rate", "64 clients"],
  ["udp-64", "cpuUs", "CPU µs for one question"],
  ["udp-512", "rate", "512 clients"],
  ["udp-512", "cpuUs", "CPU µs for one question"],
  ["udp-512", "lost", "questions lost in a run"],
  ["udp-512-1200", "rate", "512 clients, 1,200 B"],
  ["udp-512-1200", "cpuUs", "CPU µs for one question"],
  ["udp-flow", "rate", "One way, 1,200 B, datagrams/s that arrive"],
  ["udp-flow", "cpuUs", "CPU µs for one datagram"],
] as const;

const TUNED = "-tuned";

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = line(heads.map((_, i) => (i === 0 ? "---" : "---:")));
  return [line(heads), rule, ...rows.map(line)].join("\n");
}

function find(published: readonly Published[], name: string): Published | undefined {
  return published.find((each) => each.name === name);
}

function median(result: Result, contestant: string, key: string): number | undefined {
  return result.contestants.find(({ name }) => name === contestant)?.figures[key]?.median;
}

function title(contestant: string): string {
  const name = contestant.replace(/-(http|udp)$/, "");
  return name === "proxy" ? "**proxy**" : name.replace(/^proxy-/, "**proxy**, ");
}

/** One row: what is best, to the digits that are shown, is bold. */
function medians(result: Result, { key, digits, better }: Column, names: readonly string[]) {
  const values = names.map((name) => median(result, name, key));
  const there = values.filter((value) => value !== undefined);
  const best = formatNumber(better === "higher" ? Math.max(...there) : Math.min(...there), digits);
  return values.map((value) => {
    if (value === undefined) return "";
    const text = formatNumber(value, digits);
    return text === best ? `**${text}**` : text;
  });
}

/** Without those of which there are no results. */
function shown(published: readonly Published[], names: readonly string[] = SHOWN): string[] {
  const there = new Set(published.flatMap(({ contestants }) => contestants.map((c) => c.name)));
  return names.filter((name) => there.has(name));
}

type Rows = readonly (readonly [result: string, column: string, title: string])[];

function tableOf(published: readonly Published[], names: readonly string[], of: Rows): string {
  const rows = of.flatMap(([name, key, text]) => {
    const result = find(published, name);
    const column = result?.columns.find((each) => each.key === key);
    return result === undefined || column === undefined
      ? []
      : [[text, ...medians(result, column, names)]];
  });
  return table(["", ...names.map(title)], rows);
}

export function overview(published: readonly Published[]): string {
  return tableOf(published, shown(published), ROWS);
}

/** What forwards requests, apart from what forwards bytes. */
export function gateways(published: readonly Published[]): string {
  const names = shown(published, GATEWAYS);
  return names.length === 0 ? "" : tableOf(published, names, GATEWAY_ROWS);
}

/** What forwards datagrams. */
export function datagrams(published: readonly Published[]): string {
  const names = shown(published, DATAGRAM_RELAYS);
  return names.length === 0 ? "" : tableOf(published, names, DATAGRAM_ROWS);
}

/** What is lost against the direct connection of the same run. */
export function losses(published: readonly Published[]): string {
  const names = shown(published);
  const rows = ORIGINAL.flatMap(({ name, column, title: text, lost }) => {
    const result = find(published, name);
    const direct = result && median(result, "direct", column);
    if (result === undefined || direct === undefined) return [];
    const lossOf = (contestant: string): string => {
      const value = median(result, contestant, column);
      if (value === undefined) return "";
      if (column === "echoMs") return `+${formatNumber(value - direct, 3)} ms`;
      return `${formatNumber((1 - value / direct) * 100, 1)} %`;
    };
    const bound = formatNumber(direct, result.columns[0]!.digits);
    return [[text, bound, ...names.map(lossOf), lost]];
  });
  if (rows.length === 0) return "";
  return table(
    ["Lost against direct", "direct", ...names.map(title), "go-tunnel, as it says"],
    rows,
  );
}

/** What the peers reach in bulk when they are set up for nothing else. */
export function tuned(published: readonly Published[]): string {
  const rows =
    find(published, "bulk-1")?.contestants.filter(({ name }) => name.endsWith(TUNED)) ?? [];
  if (rows.length === 0) return "";
  const each = rows.map(({ name, setup, figures }) => {
    const rate = `${formatNumber(figures.rate!.median, 2)} Gbit/s`;
    const cpu = `${formatNumber(figures.cpuMs!.median, 1)} ms of CPU for a gigabyte`;
    return `${name.replace(TUNED, "")} (${setup.replace("the same with ", "")}) ${rate} at ${cpu}`;
  });
  return `Peers set up for bulk alone, 1 stream: ${each.join("; ")}.`;
}

/** How the pace of the latencies was found. */
export function pace(published: readonly Published[]): string {
  const note = find(published, "latency")?.note;
  if (note === undefined) return "";
  return `Latency at half load is that of an open loop, from the time at which a message was due: ${note}`;
}

/** What a second worker brings. */
export function scaling(published: readonly Published[]): string {
  const result = find(published, "scaling");
  if (result === undefined) return "";
  const engine = result.machine.engine;
  const factors = [`proxy-${engine}`, "nginx", "haproxy"].flatMap((name) => {
    const factor = (key: string): number =>
      (median(result, `${name}-2`, key) ?? NaN) / (median(result, name, key) ?? NaN);
    const [rate, cpu] = [factor("rate"), factor("cpuUs")];
    if (Number.isNaN(rate) || Number.isNaN(cpu)) return [];
    return [`${name.replace("-", ", ")} ${formatNumber(rate, 2)} and ${formatNumber(cpu, 2)}`];
  });
  if (factors.length === 0) return "";
  const what = "Two workers instead of one, 512 connections, messages/s and CPU for one message";
  return `${what}, times those of one: ${factors.join("; ")}.`;
}

/** The sentence on the README's first screen: bulk, idle connections and small requests, against the peers of the same run. */
export function headline(published: readonly Published[]): string {
  const bulk = find(published, "bulk-1");
  const idle = find(published, "idle");
  const http = find(published, "http1-small");
  if (bulk === undefined) return "";
  const { engine, cores } = bulk.machine;
  const figure = (result: Result | undefined, name: string, key: string): string => {
    const value = result && median(result, name, key);
    const digits = result?.columns.find((column) => column.key === key)?.digits ?? 0;
    return value === undefined ? "" : formatNumber(value, digits);
  };
  const relays = [`proxy-${engine}`, "nginx", "haproxy"];
  const against = (result: Result | undefined, key: string, unit: string, names = relays) => {
    const [own, nginx, haproxy] = names.map((name) => figure(result, name, key));
    return own === "" ? "" : `**${own} ${unit}** (nginx ${nginx}, haproxy ${haproxy})`;
  };
  const parts = [
    ["One stream of bulk data: ", against(bulk, "rate", "Gbit/s")],
    ["with ", against(bulk, "cpuMs", "ms of CPU for a gigabyte")],
    ["", against(idle, "userKib", "KiB for an idle connection")],
    ["HTTP/1.1: ", against(http, "rate", "requests a second", GATEWAYS)],
  ]
    .filter(([, figures]) => figures !== "")
    .map(([words, figures]) => `${words}${figures}`);
  if (parts.length === 0) return "";
  return `${parts.join(", ")}. [Measured](#benchmark) side by side on ${cores} cores, one worker each.`;
}
