// Tables of what a running proxy tells: columns as wide as what stands in them, and within the terminal's width. Where that is
// too little, the widest texts are cut in their middle, since addresses differ at both ends. Pure. Called by the files beside
// this one and by top.

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** May be cut down to this many columns of the terminal; none: it is never cut. */
  readonly least?: number;
  /** What it has if there is room, so that a table that is drawn again and again stands still. */
  readonly usual?: number;
  /** Left out where the width does not do, the highest first; none: never. */
  readonly spare?: number;
}

/** Printable text, and how it looks. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

export interface Table {
  readonly head: string;
  readonly rows: readonly string[];
}

export interface Room {
  /** Columns of the terminal; Infinity: no terminal, nothing is cut. */
  readonly width: number;
  readonly unicode: boolean;
}

const GAP = 2;
const FEW = 4;

/** @param rows printable texts, one for each column. */
export function layOut(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, unicode }: Room,
): Table {
  const shown = columns.map((_, i) => i);
  const wanted = columns.map(({ title }, i) =>
    rows.reduce((most, row) => Math.max(most, widthOf(textOf(row[i]!))), widthOf(title)),
  );
  const narrowest = columns.map(({ title, least }, i) =>
    least === undefined ? wanted[i]! : Math.min(wanted[i]!, Math.max(least, widthOf(title))),
  );
  while (sum(shown.map((i) => narrowest[i]!)) + GAP * (shown.length - 1) > width) {
    const spare = spareOf(columns, shown);
    if (spare === undefined) break;
    shown.splice(shown.indexOf(spare), 1);
  }
  const widths = grow(
    shrink(
      shown.map((i) => wanted[i]!),
      shown.map((i) => narrowest[i]!),
      width,
    ),
    shown.map((i) => columns[i]!.usual ?? 0),
    width,
  );
  const line = (cells: readonly Cell[]): string => {
    const last = shown.length - 1;
    const painted = shown.map((i, at) => {
      const fitting = cut(textOf(cells[i]!), widths[at]!, unicode);
      const { right = false } = columns[i]!;
      // No spaces at a line's end.
      const padded = at === last && !right ? fitting : pad(fitting, widths[at]!, right);
      const cell = cells[i]!;
      return typeof cell === "string" ? padded : cell.paint(padded);
    });
    return painted.join(" ".repeat(GAP)).trimEnd();
  };
  return { head: line(columns.map(({ title }) => title)), rows: rows.map((row) => line(row)) };
}

function spareOf(columns: readonly Column[], shown: readonly number[]): number | undefined {
  const spares = shown.filter((i) => columns[i]!.spare !== undefined);
  return spares.toSorted((a, b) => columns[b]!.spare! - columns[a]!.spare!)[0];
}

/** The widest gives way first, down to what it needs at least; if that is still too much, down to a few letters. */
function shrink(wanted: readonly number[], narrowest: readonly number[], width: number): number[] {
  const widths = [...wanted];
  const few = narrowest.map((least, i) => (least < wanted[i]! ? Math.min(least, FEW) : least));
  let over = sum(widths) + GAP * (widths.length - 1) - width;
  for (const least of [narrowest, few]) {
    while (over > 0) {
      const able = widths.map((each, i) => (each > least[i]! ? each : 0));
      const widest = Math.max(...able);
      if (widest === 0) break;
      widths[able.indexOf(widest)]!--;
      over--;
    }
  }
  return widths;
}

/** From the left, as far as there is room. */
function grow(widths: readonly number[], usual: readonly number[], width: number): number[] {
  let left = width - sum(widths) - GAP * (widths.length - 1);
  return widths.map((each, i) => {
    const more = Math.max(0, Math.min(usual[i]! - each, left));
    left -= more;
    return each + more;
  });
}

/** Within `width` columns of a terminal: a longer text loses its middle. */
export function cut(text: string, width: number, unicode: boolean): string {
  if (widthOf(text) <= width) return text;
  const mark = unicode ? "…" : "~";
  if (width <= 1) return mark.slice(0, Math.max(0, width));
  const tail = Math.floor((width - 1) / 2);
  const letters = graphemes(text);
  return upTo(letters, width - 1 - tail) + mark + upTo(letters.toReversed(), tail, true);
}

/** As `cut`, of a sentence: it loses its end. */
export function clip(text: string, width: number, unicode: boolean): string {
  if (widthOf(text) <= width) return text;
  const mark = unicode ? "…" : "~";
  return width < 1 ? "" : upTo(graphemes(text), width - 1) + mark;
}

function upTo(letters: readonly string[], width: number, backwards = false): string {
  const taken: string[] = [];
  let used = 0;
  for (const letter of letters) {
    used += widthOf(letter);
    if (used > width) break;
    taken.push(letter);
  }
  return (backwards ? taken.toReversed() : taken).join("");
}

export function pad(text: string, width: number, right = false): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return right ? space + text : text + space;
}

/** Columns of a terminal that a text takes: a Chinese letter takes two. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

const SEGMENTER = new Intl.Segmenter();

function graphemes(text: string): string[] {
  return [...SEGMENTER.segment(text)].map(({ segment }) => segment);
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
