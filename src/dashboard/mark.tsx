// Small drawings: the shape of a state, so that it is never told by colour alone, and the line of a chart's legend. The
// words beside them say the same, so they are hidden from screen readers.

import type { JSX } from "preact";

/** good: a disc. warn: a triangle. bad: a square with a cross. off: a ring. half: half a disc. */
export type Shape = "good" | "warn" | "bad" | "off" | "half";

const SHAPES: Readonly<Record<Shape, JSX.Element>> = {
  good: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  warn: <path d="M6 .8 11.6 11H.4Z" fill="currentColor" />,
  bad: (
    <path
      d="M1 1h10v10H1Zm2.2 1.2L2.2 3.2 5 6 2.2 8.8l1 1L6 7l2.8 2.8 1-1L7 6l2.8-2.8-1-1L6 5Z"
      fill="currentColor"
      fill-rule="evenodd"
    />
  ),
  off: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.5" />,
  half: (
    <g>
      <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M6 1.75a4.25 4.25 0 0 0 0 8.5Z" fill="currentColor" />
    </g>
  ),
};

export function Mark({ shape }: { shape: Shape }): JSX.Element {
  return (
    <svg class={`mark ${shape}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {SHAPES[shape]}
    </svg>
  );
}

/** A state: its shape and its word. */
export function State({ shape, children }: { shape: Shape; children: string }): JSX.Element {
  return (
    <span class={`state ${shape}`}>
      <Mark shape={shape} />
      {children}
    </span>
  );
}

/** Of the legend of a chart, whose lines differ by colour and by dashes. */
export function LineSample({
  colour,
  dash,
}: {
  colour: string;
  dash: readonly number[];
}): JSX.Element {
  return (
    <svg class="sample" viewBox="0 0 22 8" width="22" height="8" aria-hidden="true">
      <line
        x1="1"
        y1="4"
        x2="21"
        y2="4"
        stroke={`var(--${colour})`}
        stroke-width="2"
        stroke-dasharray={dash.join(" ")}
      />
    </svg>
  );
}
