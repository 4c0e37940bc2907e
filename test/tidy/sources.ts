// The project's TypeScript files with what each of them refers to, for the tidy test. It reads the text: imports
// stand at the start of a line in formatted code, and the compiler's own scan is asked whether one was missed.

import { dirname, join, relative } from "node:path";

export const ROOT = Bun.fileURLToPath(new URL("../..", import.meta.url));

export interface Source {
  /** Relative to the project's root, with slashes. */
  path: string;
  text: string;
  /** Files of the project that it imports, types included. */
  imports: string[];
  /** What it imports besides: packages and built-in modules. */
  packages: string[];
  /** Files that it names by `new URL("./file", import.meta.url)`: workers and programs that it starts. */
  starts: string[];
}

// import x from "y" | export * from "y" | import "y"
const STATIC = /^(?:import|export)\s(?:[^"';]*?\sfrom\s)?"([^"\n]+)"/gm;
const DYNAMIC = /\b(?:import|require)\(\s*"([^"\n]+)"/g;
const STARTED = /\bnew URL\(\s*[`"](\.[^"`\n]*)[`"],\s*import\.meta\.url/g;

function matches(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

function read(path: string, text: string): Source {
  const fromRoot = (specifier: string): string =>
    relative(ROOT, join(ROOT, dirname(path), specifier)).replaceAll("\\", "/");
  const specifiers = [...matches(STATIC, text), ...matches(DYNAMIC, text)];
  return {
    path,
    text,
    imports: specifiers.filter((each) => each.startsWith(".")).map(fromRoot),
    packages: specifiers.filter((each) => !each.startsWith(".")),
    starts: matches(STARTED, text).map(fromRoot),
  };
}

/** Every TypeScript file in these folders. */
export async function readSources(folders: readonly string[]): Promise<Source[]> {
  const paths = folders.flatMap((folder) => [
    ...new Bun.Glob(`${folder}/**/*.{ts,tsx}`).scanSync({ cwd: ROOT }),
  ]);
  const sources = paths
    .toSorted()
    .map(async (path) => read(path, await Bun.file(join(ROOT, path)).text()));
  return Promise.all(sources);
}

/** Imports that the compiler sees and `read` did not: there is none unless the patterns above have a hole. */
export function missedImports(source: Source): string[] {
  // scanImports refuses the line that names the interpreter of an executable.
  const program = source.text.replace(/^#![^\n]*/, "");
  const seen = new Bun.Transpiler({ loader: source.path.endsWith("x") ? "tsx" : "ts" }).scanImports(
    program,
  );
  const known = [...matches(STATIC, source.text), ...matches(DYNAMIC, source.text)];
  // The scan adds what it would write itself for JSX.
  const written = seen.map((each) => each.path).filter((path) => !/^react\b/.test(path));
  return written.filter((path) => !known.includes(path));
}
