// Traffic, connections, requests and latency over time, of all listeners or of the one that is chosen. Called by page.tsx.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { useStore } from "./context.ts";
import { age, bits, bitsShort, clock, count, perSecond, plain, took } from "./format.ts";
import type { Column, ColumnName, Track } from "./history.ts";
import { LineSample } from "./mark.tsx";
import { LINE_STYLES, Plot } from "./plot.tsx";
import type { Store } from "./store.ts";

interface Line {
  readonly name: string;
  readonly column: Column;
}

interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  /** The least that its axis goes up to. */
  readonly top: number;
  format(value: number): string;
  formatAxis(value: number): string;
}

/** Rows of the table that says what a chart draws. */
const TABLE_ROWS = 12;

export function Charts(): JSX.Element {
  const store = useStore();
  return (
    <div class="charts">
      {chartsOf(store).map((chart) => (
        <Figure key={chart.title} chart={chart} store={store} />
      ))}
    </div>
  );
}

function chartsOf(store: Store): Chart[] {
  const { history, listener, snapshot } = store;
  const track = (listener === null ? undefined : history.of(listener)) ?? history.all;
  const shown = (snapshot?.listeners ?? []).filter(
    ({ key }) => listener === null || key === listener,
  );
  const hasHttp = shown.some(({ http }) => http !== null);
  const line = (name: string, column: ColumnName): Line => ({ name, column: track[column] });
  const traffic: Chart = {
    title: "Traffic",
    lines: perListener(store, sumOfBoth) ?? [
      line("to clients", "down"),
      line("from clients", "up"),
    ],
    top: 125, // 1 kbit/s
    format: bits,
    formatAxis: bitsShort,
  };
  const connections: Chart = {
    title: "Connections",
    lines: perListener(store, (each) => each.active) ?? [line("open", "active")],
    top: 4,
    format: count,
    formatAxis: plain,
  };
  const opened: Chart = {
    title: "New connections a second",
    lines: [line("accepted", "opened"), line("refused", "refused")],
    top: 4,
    format: perSecond,
    formatAxis: plain,
  };
  if (!hasHttp) return [traffic, connections, opened];
  const requests: Chart = {
    title: "Requests a second",
    lines: [line("requests", "requests"), line("5xx", "errors"), line("refused", "refused")],
    top: 4,
    format: perSecond,
    formatAxis: plain,
  };
  const latency: Chart = {
    title: "Time to answer",
    lines: [line("p50", "p50"), line("p95", "p95"), line("p99", "p99")],
    top: 4,
    format: took,
    formatAxis: (ms) => (ms === 0 ? "0" : took(ms)),
  };
  return [traffic, connections, requests, latency];
}

const sums = new WeakMap<Column, Column>();

/** Bytes both ways. Kept by the column that it is made of, and made anew when that has moved on. */
function sumOfBoth({ up, down }: Track): Column {
  const kept = sums.get(up) ?? [];
  sums.set(up, kept);
  kept.length = 0;
  for (const [i, value] of up.entries()) {
    const other = down[i]!;
    kept.push(value === null || other === null ? null : value + other);
  }
  return kept;
}

/** A line for each of those that have moved most; null: there is one listener, or one is chosen. */
function perListener(
  { history, listener, snapshot }: Store,
  column: (track: Track) => Column,
): Line[] | null {
  const listeners = snapshot?.listeners ?? [];
  if (listener !== null || listeners.length < 2) return null;
  const busiest = listeners
    .toSorted((a, b) => b.bytes.up + b.bytes.down - a.bytes.up - a.bytes.down)
    .slice(0, LINE_STYLES.length)
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return busiest.flatMap(({ key }) => {
    const track = history.of(key);
    return track === undefined ? [] : [{ name: key, column: column(track) }];
  });
}

function Figure({ chart, store }: { chart: Chart; store: Store }): JSX.Element {
  const { title, lines, top, format, formatAxis } = chart;
  const { times } = store.history;
  const [pointed, setPointed] = useState<number | null>(null);
  const index = pointed === null || pointed >= times.length ? times.length - 1 : pointed;
  const value = ({ column }: Line): string => {
    const number = column[index];
    return number === null || number === undefined ? "–" : format(number);
  };
  return (
    <figure>
      <figcaption>
        <h3>{title}</h3>
        <ul class="legend">
          {lines.map((line, i) => (
            <li key={line.name}>
              <LineSample {...LINE_STYLES[i]!} />
              <span class="name">{line.name}</span> <b>{value(line)}</b>
            </li>
          ))}
        </ul>
      </figcaption>
      <Plot
        times={times}
        columns={lines.map(({ column }) => column)}
        span={store.span}
        top={top}
        format={formatAxis}
        point={setPointed}
      />
      <AsTable chart={chart} store={store} />
    </figure>
  );
}

/** What the canvas shows, for who cannot see it. Nothing is made of it while it is closed. */
function AsTable({ chart, store }: { chart: Chart; store: Store }): JSX.Element {
  const [open, setOpen] = useState(false);
  const { title, lines, format } = chart;
  const { times } = store.history;
  const step = Math.max(1, Math.round(store.span / TABLE_ROWS));
  const rows = open
    ? Array.from({ length: TABLE_ROWS }, (_, i) => times.length - 1 - i * step).filter(
        (at) => at >= 0,
      )
    : [];
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        as a table<span class="unseen">: {title}</span>
      </summary>
      <table aria-label={`${title}, the last ${age(store.span)}`}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {lines.map(({ name }) => (
              <th key={name} scope="col" class="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((at) => (
            <tr key={times[at]}>
              <th scope="row">{clock(times[at]! * 1000)}</th>
              {lines.map(({ name, column }) => (
                <td key={name} class="number">
                  {typeof column[at] === "number" ? format(column[at]) : "–"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
