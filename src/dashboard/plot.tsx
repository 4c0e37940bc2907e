// One chart, drawn by uPlot on a canvas that screen readers are not told of: whoever shows it says the same in words. Lines
// differ by colour and by dashes. Called by charts.tsx.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { clock } from "./format.ts";
import type { Column } from "./history.ts";
import { colour } from "./theme.ts";

export interface LineStyle {
  /** A custom property of the style sheet. */
  readonly colour: string;
  readonly dash: readonly number[];
}

/** So many lines can be told apart. */
export const LINE_STYLES: readonly LineStyle[] = [
  { colour: "accent", dash: [] },
  { colour: "ink", dash: [] },
  { colour: "accent", dash: [6, 4] },
  { colour: "ink", dash: [6, 4] },
  { colour: "accent", dash: [2, 3] },
  { colour: "ink", dash: [2, 3] },
];

export interface PlotProps {
  readonly times: readonly number[];
  readonly columns: readonly Column[];
  readonly span: number;
  /** The least that the axis goes up to, so that nothing does not look like something. */
  readonly top: number;
  /** Of an axis. */
  format(value: number): string;
  /** Which point is pointed at; null: none. */
  point(index: number | null): void;
}

const SPAN_MIN_SECONDS = 60;
const SYNC = "page";
const AXIS_FONT = "11px system-ui, sans-serif";

export function Plot(props: PlotProps): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const lines = props.columns.length;
  useEffect(() => {
    const box = element.current!;
    const made = new uPlot(optionsOf(box, latest, lines), [[]], box);
    plot.current = made;
    show(made, latest.current);
    const resized = new ResizeObserver(() => made.setSize(sizeOf(box)));
    resized.observe(box);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines]);
  useEffect(() => {
    if (plot.current !== null) show(plot.current, props);
  });
  return <div class="plot" ref={element} aria-hidden="true" />;
}

function show(plot: uPlot, { times, columns, span }: PlotProps): void {
  const last = times.at(-1) ?? Date.now() / 1000;
  // As long as there is less to show than that, it has the whole width, from a minute on.
  const first = Math.min(times[0] ?? last, last - SPAN_MIN_SECONDS);
  plot.batch(() => {
    plot.setData([times, ...columns] as uPlot.AlignedData, false);
    plot.setScale("x", { min: Math.max(last - span, first), max: last });
  });
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: Math.max(120, box.clientWidth), height: Math.max(80, box.clientHeight) };
}

function optionsOf(box: HTMLElement, latest: { current: PlotProps }, lines: number): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: () => colour("soft"),
    grid: { stroke: () => colour("line"), width: 1 },
    ticks: { show: false },
    font: AXIS_FONT,
  };
  return {
    ...sizeOf(box),
    legend: { show: false },
    cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
    hooks: { setCursor: [({ cursor }) => latest.current.point(cursor.idx ?? null)] },
    padding: [8, 4, 0, 0],
    scales: {
      x: { time: true },
      y: { range: (_plot, _min, max) => [0, Math.max((max ?? 0) * 1.08, latest.current.top)] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        gap: 4,
        space: 70,
        values: (_plot, ticks) => ticks.map((s) => clock(s * 1000)),
      },
      {
        ...axis,
        size: 46,
        gap: 4,
        space: 28,
        values: (_plot, ticks) => ticks.map((v) => latest.current.format(v)),
      },
    ],
    series: [{}, ...LINE_STYLES.slice(0, lines).map(seriesOf)],
  };
}

function seriesOf({ colour: name, dash }: LineStyle): uPlot.Series {
  return {
    stroke: () => colour(name),
    width: 1.5,
    dash: [...dash],
    points: { show: false, fill: () => colour("paper") },
  };
}
