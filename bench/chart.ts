// The picture in the README: one panel for each figure that matters, a bar for each contestant. Pure: results
// in, SVG out. Colours follow the reader's light or dark setting. Called by publish.ts.

import { formatNumber, type Result } from "./report.ts";

interface Panel {
  result: string;
  column: string;
  title: string;
  unit: string;
  better: "higher" | "lower";
}

const PANELS: readonly Panel[] = [
  { result: "bulk-1", column: "rate", title: "Bulk, 1 stream", unit: "Gbit/s", better: "higher" },
  { result: "bulk-1", column: "cpuMs", title: "CPU for 1 GB", unit: "ms", better: "lower" },
  {
    result: "pingpong-64",
    column: "rate",
    title: "64 B ping-pong, 64 connections",
    unit: "messages/s",
    better: "higher",
  },
  {
    result: "pingpong-64",
    column: "cpuUs",
    title: "CPU for one message",
    unit: "µs",
    better: "lower",
  },
  {
    result: "connect-one-core",
    column: "rate",
    title: "Connections, all on one core",
    unit: "per second",
    better: "higher",
  },
  {
    result: "connect-16",
    column: "rate",
    title: "Connections, 16 at once",
    unit: "per second",
    better: "higher",
  },
  {
    result: "latency",
    column: "p99Us",
    title: "99th percentile at half load",
    unit: "µs",
    better: "lower",
  },
  { result: "idle", column: "userKib", title: "Idle connection", unit: "KiB", better: "lower" },
  {
    result: "http1-small",
    column: "rate",
    title: "HTTP/1.1, 64 connections",
    unit: "requests/s",
    better: "higher",
  },
  {
    result: "http2-small",
    column: "rate",
    title: "HTTP/2 over TLS, 16 × 16 streams",
    unit: "requests/s",
    better: "higher",
  },
];

const SHOWN = /^(proxy-|nginx(-http)?$|haproxy(-http)?$|caddy$)/;

const COLUMNS = 2;
const PANEL_WIDTH = 430;
const MARGIN = 16;
const TITLE_HEIGHT = 34;
const BAR_HEIGHT = 18;
const BAR_STEP = 24;
const NAME_WIDTH = 96;
const VALUE_WIDTH = 70;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .note { fill: #59636e; font-size: 12px; }
  .ours { fill: #0969da; }
  .other { fill: #afb8c1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .note { fill: #9198a1; }
    .ours { fill: #4493f8; }
    .other { fill: #57606a; }
  }`;

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

interface Bar {
  name: string;
  value: number;
}

function bars(panel: Panel, results: readonly Result[]): { bars: Bar[]; digits: number } {
  const result = results.find(({ name }) => name === panel.result);
  const column = result?.columns.find(({ key }) => key === panel.column);
  const shown = result?.contestants.filter(({ name }) => SHOWN.test(name)) ?? [];
  return {
    bars: shown.map(({ name, figures }) => ({ name, value: figures[panel.column]!.median })),
    digits: column?.digits ?? 0,
  };
}

function drawPanel(panel: Panel, results: readonly Result[], x: number, y: number): string {
  const { bars: drawn, digits } = bars(panel, results);
  const most = Math.max(...drawn.map(({ value }) => value), Number.MIN_VALUE);
  const room = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH - MARGIN;
  const note = `${panel.unit}, ${panel.better} is better`;
  const aside = `<tspan class="note">${escape(note)}</tspan>`;
  const title = `<text class="title" x="0" y="14">${escape(panel.title)} ${aside}</text>`;
  const rows = drawn.map(({ name, value }, i) => {
    const top = TITLE_HEIGHT - BAR_HEIGHT / 2 + i * BAR_STEP;
    const width = Math.max(1, (value / most) * room).toFixed(1);
    const line = top + BAR_HEIGHT - 5;
    const style = name.startsWith("proxy-") ? "ours" : "other";
    const label = name.replace(/^proxy-/, "proxy, ").replace(/^(nginx|haproxy)-http/, "$1");
    return [
      `<text x="${NAME_WIDTH - 8}" y="${line}" text-anchor="end">${escape(label)}</text>`,
      `<rect class="${style}" x="${NAME_WIDTH}" y="${top}" width="${width}" height="${BAR_HEIGHT}" rx="2"/>`,
      `<text x="${(NAME_WIDTH + Number(width) + 6).toFixed(1)}" y="${line}">${formatNumber(value, digits)}</text>`,
    ].join("");
  });
  return `<g transform="translate(${x} ${y})">${title}${rows.join("")}</g>`;
}

export function drawChart(results: readonly Result[]): string {
  const panels = PANELS.filter((panel) => bars(panel, results).bars.length > 0);
  const most = Math.max(1, ...panels.map((panel) => bars(panel, results).bars.length));
  const panelHeight = TITLE_HEIGHT + most * BAR_STEP + MARGIN;
  const width = COLUMNS * PANEL_WIDTH + MARGIN;
  const height = Math.ceil(panels.length / COLUMNS) * panelHeight + MARGIN;
  const drawn = panels.map((panel, i) =>
    drawPanel(
      panel,
      results,
      MARGIN + (i % COLUMNS) * PANEL_WIDTH,
      MARGIN + Math.floor(i / COLUMNS) * panelHeight,
    ),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${width} ${height}"`,
    `  width="${width}" height="${height}">`,
    `<title>proxy against nginx and haproxy</title>`,
    `<style>${STYLE}\n</style>`,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}
