// YAML text to plain data, with the place of every key and value, or a list of syntax problems in plain words.
// Invariant: the work is bounded whatever the text says (size, nesting, aliases of aliases). Called by load.ts.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import type { YAMLParseError, YAMLWarning } from "yaml";

import {
  formatPath,
  type Part,
  type Path,
  type Place,
  type Problem,
  type Source,
} from "./problems.ts";

/** Values after aliases are followed: far more than any configuration has, far less than an alias bomb makes. */
const NODES_MAX = 100_000;
/** Deeper than the grammar goes, shallower than the stack. */
const DEPTH_MAX = 64;
const TOO_DEEP = "is nested too deeply";

/** Of the parser's errors. Each may be looked for in the whole text, and nobody mends more at a time. */
const FAULTS_MAX = 200;

export type ReadResult = { readonly source: Source } | { readonly problems: readonly Problem[] };

/** @param file names the text in every place: `file:line:column`. */
export function readDocument(text: string, file: string): ReadResult {
  const counter = new LineCounter();
  const placeAt = (offset: number, path: Path = []): Place => {
    const { line, col } = counter.linePos(Math.min(offset, text.length));
    const shown = path.length === 0 ? "" : `: ${formatPath(path)}`;
    return { text: `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}${shown}`, order: offset };
  };
  const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    stringKeys: true,
    // The parser compares each key with each: it is looked for below, in one step.
    uniqueKeys: false,
    // !!binary and the like make values that no configuration has.
    resolveKnownTags: false,
  });
  if (control) {
    const message = `holds the control character ${control[0].charCodeAt(0)}: this is not a text file`;
    return { problems: [{ place: placeAt(control.index), message }] };
  }
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) return { problems: syntaxProblems(faults, document, text, placeAt) };
  const reader = new Reader(document, placeAt);
  const value = reader.read(document.contents, [], 0);
  if (reader.problems.length > 0) return { problems: reader.problems };
  return { source: { value, place: (path, part) => reader.place(path, part) } };
}

type PlaceAt = (offset: number, path?: Path) => Place;

/** Walks the nodes once: makes the value and notes where each path stands. */
class Reader {
  readonly problems: Problem[] = [];
  readonly #document: Document;
  readonly #placeAt: PlaceAt;
  readonly #offsets = new Map<string, number>();
  readonly #open = new Set<Node>();
  /** By name, the last anchor so far: nodes are first read in the order of the text, and that is what an alias means. */
  readonly #anchors = new Map<string, Node>();
  readonly #meanings = new Map<Node, Node | undefined>();
  #nodes = 0;

  constructor(document: Document, placeAt: PlaceAt) {
    this.#document = document;
    this.#placeAt = placeAt;
  }

  place(path: Path, part: Part): Place {
    for (let length = path.length; length > 0; length--) {
      const at = formatPath(path.slice(0, length));
      // What is missing is looked for at the key of the entry that should hold it.
      const offset = this.#offsets.get(`${length === path.length ? part : "value"} ${at}`);
      if (offset !== undefined) return this.#placeAt(offset, path);
    }
    return this.#placeAt(this.#document.contents?.range?.[0] ?? 0, path);
  }

  read(node: unknown, path: Path, depth: number): unknown {
    if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return null;
    if (++this.#nodes > NODES_MAX) return this.#refuse(node, path, this.#tooMany());
    if (depth > DEPTH_MAX) return this.#refuse(node, path, TOO_DEEP);
    this.#note("value", path, node);
    if (!isAlias(node) && node.anchor !== undefined && this.#meanings.get(node) !== node) {
      this.#anchors.set(node.anchor, node);
      this.#meanings.set(node, node);
    }
    if (isScalar(node)) return node.value;
    if (isAlias(node)) return this.#follow(node, path, depth);
    if (isSeq(node)) return node.items.map((item, i) => this.read(item, [...path, i], depth + 1));
    return this.#readMap(node, path, depth);
  }

  #readMap(node: Node, path: Path, depth: number): unknown {
    if (!isMap(node)) return null;
    const entries = new Map<string, unknown>();
    const merged = new Map<string, unknown>();
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const name = String(key.value);
      if (seen.has(name)) this.#tellTwice(key, name);
      seen.add(name);
      if (name === "<<" && key.type === "PLAIN") {
        for (const [inner, found] of this.#merge(value as Node | null, path, depth)) {
          if (!merged.has(inner)) merged.set(inner, found);
        }
        continue;
      }
      const at = [...path, name];
      const found = this.read(value, at, depth + 1);
      this.#note("key", at, key);
      this.#note(
        "value",
        at,
        isScalar(value) && value.range ? value : ((value as Node | null) ?? key),
      );
      entries.set(name, found);
    }
    return Object.fromEntries([...merged, ...entries]);
  }

  #tooMany(): string {
    if (this.#meanings.size > 0) return "holds too many values: aliases multiply them";
    return `is beyond the ${NODES_MAX} values that a configuration may have`;
  }

  #tellTwice(key: Node, name: string): void {
    const place = this.#placeAt(key.range?.[0] ?? 0);
    const message = `the key "${name}" stands twice in one mapping. Remove one of them`;
    this.problems.push({ place, message });
  }

  /** The merge key of YAML 1.1: keys of a mapping, or of several, unless they are given here too. */
  #merge(value: Node | null, path: Path, depth: number): [string, unknown][] {
    const sources = isSeq(value) ? (value.items as Node[]) : [value];
    return sources.flatMap((source) => {
      const found = source ? this.read(source, path, depth + 1) : null;
      if (typeof found === "object" && found !== null && !Array.isArray(found))
        return Object.entries(found);
      if (this.problems.length === 0)
        this.#refuse(source, path, "<< takes a mapping, or an alias of one");
      return [];
    });
  }

  #follow(alias: Node, path: Path, depth: number): unknown {
    if (!isAlias(alias)) return null;
    // Not by Alias.resolve, which walks the whole document each time.
    if (!this.#meanings.has(alias)) this.#meanings.set(alias, this.#anchors.get(alias.source));
    const target = this.#meanings.get(alias);
    if (!target) {
      const name = `*${alias.source}`;
      return this.#refuse(
        alias,
        path,
        `${name} names an anchor that is not set above. If it is text, put it in quotes: "${name}"`,
      );
    }
    if (this.#open.has(target)) return this.#refuse(alias, path, `*${alias.source} holds itself`);
    this.#open.add(target);
    const value = this.read(target, path, depth + 1);
    this.#open.delete(target);
    // A mistake in what the alias stands for is best looked for where it is written; the alias itself is here.
    this.#note("value", path, alias);
    return value;
  }

  #note(part: Part, path: Path, node: Node): void {
    const offset = node.range?.[0];
    if (offset !== undefined) this.#offsets.set(`${part} ${formatPath(path)}`, offset);
  }

  #refuse(node: unknown, path: Path, message: string): null {
    // One is enough: a bomb would repeat it a hundred thousand times.
    if (this.problems.length === 0) {
      const offset = (node as Node | null)?.range?.[0] ?? 0;
      this.problems.push({ place: this.#placeAt(offset, path), message });
    }
    return null;
  }
}

type Fault = YAMLParseError | YAMLWarning;

/** One problem for each line: the parser's later errors on a line follow from the first. */
function syntaxProblems(
  faults: readonly Fault[],
  document: Document,
  text: string,
  placeAt: PlaceAt,
): Problem[] {
  const byLine = new Map<string, Problem>();
  const inOrder = faults.toSorted((a, b) => a.pos[0] - b.pos[0]);
  const quotes = faults.some(isOpenQuote) ? quotesOf(document) : [];
  const quoteBefore = ({ pos: [at] }: Fault): number =>
    quotes.findLast((quote) => quote <= at) ?? at;
  for (const fault of inOrder.slice(0, FAULTS_MAX)) {
    if (DERIVED.includes(fault.code) && byLine.size > 0) continue;
    const place = placeAt(isOpenQuote(fault) ? quoteBefore(fault) : fault.pos[0]);
    const line = place.text.slice(0, place.text.lastIndexOf(":"));
    if (!byLine.has(line)) byLine.set(line, { place, message: plainWords(fault, text) });
  }
  return [...byLine.values()];
}

/** What mostly follows from a mistake before it. */
const DERIVED: readonly string[] = ["UNEXPECTED_TOKEN", "MULTILINE_IMPLICIT_KEY", "NON_STRING_KEY"];

/** The parser notices an open quote at the end of the file; the reader wants its beginning. */
const isOpenQuote = ({ code, message }: Fault): boolean =>
  code === "MISSING_CHAR" && message.includes("quote");

/** Where quotes begin, in their order. */
function quotesOf(document: Document): readonly number[] {
  const starts: number[] = [];
  visit(document, {
    Scalar: (_, { type, range }) => {
      if (type?.startsWith("QUOTE") && range) starts.push(range[0]);
    },
  });
  return starts;
}

function plainWords({ code, message, pos }: Fault, text: string): string {
  const there = text.slice(pos[0], pos[1]);
  const known = PLAIN_WORDS.find(([of, hint]) => of === code && message.includes(hint));
  if (known) return known[2];
  if (code === "BAD_SCALAR_START") return `a text cannot begin with ${there[0]}. Put it in quotes`;
  return `this is not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** The parser's code, a part of its message, and what a person needs to hear instead. */
const PLAIN_WORDS: readonly (readonly [string, string, string])[] = [
  ["NON_STRING_KEY", "", "a key has to be text. Put it in quotes"],
  ["RESOURCE_EXHAUSTION", "stack", TOO_DEEP],
  ["TAB_AS_INDENT", "", "a tab is used as indentation. Use spaces"],
  ["MULTIPLE_DOCS", "", 'a second document begins here. Remove the line "---"'],
  ["BAD_INDENT", "end with a ]", 'the list above is not closed. Write "]" at its end'],
  ["BAD_INDENT", "end with a }", 'the mapping above is not closed. Write "}" at its end'],
  [
    "BAD_INDENT",
    "",
    "the indentation does not fit the lines above. Keys of one mapping begin in the same column",
  ],
  [
    "BLOCK_AS_IMPLICIT_KEY",
    "",
    'a second "key: value" begins inside this one. Align the lines below, or put a text that holds ": " in quotes',
  ],
  [
    "MULTILINE_IMPLICIT_KEY",
    "",
    'a key spans several lines. Is the space missing after a colon? Write "key: value"',
  ],
  ["MISSING_CHAR", "quote", "this quote is never closed"],
  [
    "MISSING_CHAR",
    "without - indicator",
    'this line is neither an entry ("- ") nor aligned with the keys above it. Check its indentation',
  ],
  [
    "UNEXPECTED_TOKEN",
    "at node end",
    "something follows a value that has already ended. Put the whole value in quotes",
  ],
  [
    "TAG_RESOLVE_FAILED",
    "",
    "tags (words that begin with !) are not used here. Put a text that begins with ! in quotes",
  ],
];
