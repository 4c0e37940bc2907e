// What the compiler and the linter do not hold: which room may import which, dead files, line length, file
// headers, and calls that this project replaces by better ones. Function length, stray `any` and leftover notes
// are in .oxlintrc.json.

import { describe, expect, test } from "bun:test";
import { basename } from "node:path";

import { missedImports, readSources, type Source } from "./tidy/sources.ts";

/** Every arrow between rooms. What is not here is an error; a file may always import from its own room. */
const ARROWS: Record<string, readonly string[]> = {
  cli: ["commands", "config", "control", "shared"],
  index: ["library", "control", "config", "shared"],
  commands: ["capture", "control", "config", "doctor", "explain", "shared", "package.json"],
  capture: ["library", "shared"],
  library: ["control", "config", "shared", "ffi/socket-options.ts", "ffi/duplicate.ts"],
  control: [
    "config",
    "l4",
    "shared",
    "ffi/clock.ts",
    "ffi/file-lock.ts",
    "ffi/inherited.ts",
    "ffi/notify.ts",
    "package.json",
  ],
  config: ["shared", "l4/tls/routes.ts"],
  worker: ["engine", "protocols", "shared"],
  dashboard: ["control/admin/schemas.ts", "shared/messages.ts"],
  doctor: ["config/units.ts", "control", "ffi/kernel-clock.ts", "shared"],
  explain: [
    "l4",
    "protocols/admission.ts",
    "protocols/challenge-answers.ts",
    "protocols/http/exchange.ts",
    "protocols/http/filter/filters.ts",
    "protocols/http/message/heads.ts",
    "protocols/http/passage.ts",
    "protocols/http/route/guide.ts",
    "protocols/http/route/request-id.ts",
    "protocols/http/route/table.ts",
    "protocols/wire/by-name.ts",
    "shared",
  ],
  gateway: [
    "engine/bun/read-ahead.ts",
    "engine/descriptors.ts",
    "engine/linux/sockets.ts",
    "engine/listening.ts",
    "ffi/clock.ts",
    "ffi/socket-options.ts",
    "l4/strain.ts",
    "protocols",
    "shared",
  ],
  protocols: [
    "engine/engine.ts",
    "engine/bun/bind.ts",
    "engine/bun/connection.ts",
    "engine/bun/dial.ts",
    "engine/bun/first-bytes.ts",
    "engine/bun/pace-timer.ts",
    "engine/bun/read-ahead.ts",
    "engine/bun/receive.ts",
    "ffi/addon-image.ts",
    "l4",
    "shared",
  ],
  engine: ["ffi", "l4", "shared"],
  l4: ["shared"],
  ffi: ["shared"],
  shared: [],
};

/** Packages that belong to certain rooms. Others, and Node's modules, may be used anywhere. */
const PACKAGE_ROOMS: Record<string, readonly string[]> = {
  "bun:ffi": ["ffi"],
  "bun:test": [],
  yaml: ["config"],
  zod: ["config", "control"],
  "prom-client": ["control"],
  citty: ["cli", "commands"],
  preact: ["dashboard"],
  "preact/hooks": ["dashboard"],
  uplot: ["dashboard"],
  pino: ["control"],
  "pino-pretty": ["control"],
};

/** Programs: everything else in src is reached from one of these. */
const ENTRIES = ["src/cli.ts", "src/index.ts", "src/worker.ts", "src/gateway.ts"];

const LINE_MAX = 130;

/** Tests of timeouts and of rest: no event can end their wait. And the place of `until`, and this file. */
const TIME_IS_TESTED = new RegExp(
  "^test/(support/until|tidy\\.test|shared/sweep\\.test|e2e/overload\\.test|" +
    "engine/(bandwidth|descriptors|property|rest|stall|targets)\\.test)",
);

interface Ban {
  pattern: RegExp;
  where: RegExp;
  /** Files that are the replacement. */
  except?: RegExp;
  instead: string;
}

const BANS: readonly Ban[] = [
  {
    pattern: /\bBun\.sleep(Sync)?\(|setTimeout\((resolve|done|r)\b|node:timers\/promises/,
    where: /^test\//,
    except: TIME_IS_TESTED,
    instead:
      "await the event, or `until` of test/support; if time itself is tested, name the file in TIME_IS_TESTED",
  },
  {
    pattern: /\bprocess\.exit\(/,
    where: /^src\/(?!cli\.ts|commands\/)/,
    instead: "throw a ProxyError: only the command line ends the process",
  },
  {
    pattern: /\bthrow new Error\(/,
    where: /^src\/(?!(worker|gateway)\.ts)/,
    instead: "throw a ProxyError with a code and a cure",
  },
  {
    pattern:
      /\b(Date\.now|performance\.|setTimeout|setInterval|Math\.random|process\.|Bun\.)|node:(?!net"|url")/,
    where: /^src\/l4\//,
    instead: "this room decides and does nothing: take the time, or chance, as a parameter",
  },
  { pattern: /\bdelete \w+(\.|\[)/, where: /^src\//, instead: "use a Map" },
  {
    pattern: /\b(test|it|describe)\.only\(/,
    where: /^test\/(?!tidy)/,
    instead: "run one file instead",
  },
];

const sources = await readSources(["src", "test", "bench", "scripts"]);
const inSrc = sources.filter(({ path }) => path.startsWith("src/"));

/** src/engine/pick.ts → engine; src/cli.ts → cli. */
function roomOf(path: string): string {
  return path.split("/")[1]!.replace(/\.ts$/, "");
}

function arrowExists(from: string, to: string): boolean {
  const room = roomOf(from);
  if (!to.startsWith("src/")) return ARROWS[room]?.includes(to) === true;
  if (roomOf(to) === room) return true;
  return (ARROWS[room] ?? []).some((allowed) => allowed === roomOf(to) || `src/${allowed}` === to);
}

function reachable(entries: readonly string[]): Set<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    const source = byPath.get(path);
    for (const next of [...(source?.imports ?? []), ...(source?.starts ?? [])]) visit(next);
  };
  entries.forEach(visit);
  return reached;
}

/** Some other file writes this file's name in quotes: a program that is started, or a file that is read. */
function isNamed({ path }: Source): boolean {
  const name = basename(path);
  return sources.some(
    (other) =>
      other.path !== path && (other.text.includes(`${name}"`) || other.text.includes(`${name}\``)),
  );
}

describe("imports", () => {
  test("the scan finds every import that the compiler finds", () => {
    const missed = sources.flatMap((source) =>
      missedImports(source).map((to) => [source.path, to]),
    );
    expect(missed).toEqual([]);
  });

  test("every room of src is in the table of arrows", () => {
    const rooms = new Set(inSrc.map(({ path }) => roomOf(path)));
    expect([...rooms].filter((room) => !(room in ARROWS))).toEqual([]);
  });

  test("a room imports only the rooms that its arrows name", () => {
    const wrong = inSrc.flatMap(({ path, imports }) =>
      imports.filter((to) => !arrowExists(path, to)).map((to) => `${path} → ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  test("a package stays in its room", () => {
    const wrong = inSrc.flatMap(({ path, packages }) =>
      packages
        .filter((name) => PACKAGE_ROOMS[name]?.includes(roomOf(path)) === false)
        .map((name) => `${path} → ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test("imports name a file with its ending", () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports.filter((to) => !/\.(tsx?|json)$/.test(to)).map((to) => `${path} → ${to}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe("files", () => {
  test("every file of src is reached from the command line, the library or the worker", () => {
    const reached = reachable(ENTRIES);
    const dead = inSrc.map(({ path }) => path).filter((path) => !reached.has(path));
    expect(dead).toEqual([]);
  });

  test("every file of test, bench and scripts is a test, an entry, imported, or named", () => {
    const entries = ["bench/main.ts", "scripts/test.ts", "scripts/build.ts"];
    const tests = sources.map(({ path }) => path).filter((path) => path.endsWith(".test.ts"));
    const reached = reachable([...ENTRIES, ...entries, ...tests]);
    const dead = sources.filter((source) => !reached.has(source.path) && !isNamed(source));
    expect(dead.map(({ path }) => path)).toEqual([]);
  });

  test("every file says in its first lines what it is", () => {
    const wrong = sources.filter(({ text }) => !/^(#![^\n]*\n)?(\/\/ |\/\*\*)/.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test(`no line is longer than ${LINE_MAX} characters`, () => {
    const wrong = sources.flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, i) => (line.length > LINE_MAX ? [`${path}:${i + 1}`] : [])),
    );
    expect(wrong).toEqual([]);
  });
});

describe("calls", () => {
  for (const { pattern, where, except, instead } of BANS) {
    test(`${pattern.source} is not used: ${instead}`, () => {
      const wrong = sources
        .filter(({ path }) => where.test(path) && !except?.test(path))
        .flatMap(({ path, text }) =>
          text
            .split("\n")
            .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
        );
      expect(wrong).toEqual([]);
    });
  }
});
