// `npm test`: everything that must hold, in the order of what fails fastest. Stops at the first step that fails;
// its last line is `N passed, N failed`, where a step without tests of its own counts as one. With CI=true a
// skipped test is a failure.

import { join } from "node:path";

const root = Bun.fileURLToPath(new URL("..", import.meta.url));
const inCi = process.env.CI === "true";

/** Tests that count descriptors, memory or time, or that fill the machine: each file in a process of its own. */
const ALONE = [
  "test/e2e/",
  "test/engine/",
  "test/control/",
  "test/library/",
  "test/protocols/",
  "test/scripts/",
];
const PARALLEL = 2;
const TEST_MS = 60_000; // for one test; most take milliseconds, and a machine may be busy with others' work

interface Tally {
  passed: number;
  failed: number;
  skipped: string[];
}

interface Step {
  name: string;
  run(): Promise<Tally>;
}

/** Runs a command, shows its output but for the lines that match `hide`, and returns all of it. */
async function show(command: string[], hide?: RegExp): Promise<{ code: number; output: string }> {
  const child = Bun.spawn(command, { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let output = "";
  const forward = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    let rest = "";
    const decoder = new TextDecoder();
    const line = (text: string): void => {
      if (hide?.test(text) !== true) console.log(text);
    };
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      output += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      lines.forEach(line);
    }
    if (rest !== "") line(rest);
  };
  await Promise.all([forward(child.stdout), forward(child.stderr)]);
  return { code: await child.exited, output };
}

/** A step that is one check: it passes or it fails. */
function check(name: string, command: string[], hide?: RegExp): Step {
  return {
    name,
    async run() {
      const { code } = await show(command, hide);
      return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [] };
    },
  };
}

/** The sum of `bun test`'s own counts. A run that fails without counting a failure counts as one. */
function tally(code: number, output: string): Tally {
  const count = (word: string): number =>
    [...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))]
      .map((match) => Number(match[1]))
      .reduce((sum, each) => sum + each, 0);
  const failed = count("fail") + count("error");
  const skipped = [...output.matchAll(/^\((?:skip|todo)\) (.*?)( \[[\d.]+m?s\])?$/gm)];
  return {
    passed: count("pass"),
    failed: code !== 0 && failed === 0 ? 1 : failed,
    skipped: skipped.map((match) => match[1]!),
  };
}

async function runTests(args: string[]): Promise<Tally> {
  const command = [process.execPath, "test", `--timeout=${TEST_MS}`, ...args];
  const { code, output } = await show(command, /^(\(pass\)|bun test )/);
  return tally(code, output);
}

function tests(name: string, files: string[]): Step {
  return { name, run: () => runTests([`--parallel=${PARALLEL}`, ...files]) };
}

/** Goes on behind a file that fails: what else fails is told by the same run. */
function testsAlone(name: string, files: string[]): Step {
  return {
    name,
    async run() {
      const sum: Tally = { passed: 0, failed: 0, skipped: [] };
      const failing: string[] = [];
      for (const file of files) {
        const one = await runTests([file]);
        sum.passed += one.passed;
        sum.failed += one.failed;
        sum.skipped.push(...one.skipped);
        if (one.failed > 0) failing.push(file);
      }
      if (failing.length > 0) console.log(`\nFiles that failed:\n  ${failing.join("\n  ")}`);
      return sum;
    },
  };
}

function steps(): Step[] {
  const files = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: root })].toSorted();
  const alone = files.filter((file) => ALONE.some((folder) => file.startsWith(folder)));
  const light = files.filter((file) => !alone.includes(file));
  const bun = process.execPath;
  return [
    check("format", [bun, "fmt", "--check"]),
    check("lint", [bun, join(root, "node_modules/.bin/oxlint"), "--deny-warnings"]),
    check("types", [bun, "check"]),
    tests(
      "tests",
      light.map((file) => `./${file}`),
    ),
    testsAlone(
      "tests, one file at a time",
      alone.map((file) => `./${file}`),
    ),
    check("benchmark, smoke", [bun, "bench/main.ts", "--smoke"], /^(\||###|$)/),
    check(
      "benchmark of two checkouts, smoke",
      [bun, "bench/main.ts", "--against", root, "--only", "pingpong-64", "--smoke"],
      /^(\||###|On one core|confidence|$)/,
    ),
  ];
}

async function main(): Promise<number> {
  const total: Tally = { passed: 0, failed: 0, skipped: [] };
  const times: string[] = [];
  for (const step of steps()) {
    console.log(`\n== ${step.name}`);
    const begin = performance.now();
    const result = await step.run();
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    times.push(`${seconds.padStart(7)} s  ${step.name}`);
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped.push(...result.skipped);
    if (result.failed > 0) {
      console.log(`\nThe step "${step.name}" failed; the steps after it did not run.`);
      break;
    }
  }
  console.log(`\n${times.join("\n")}`);
  for (const name of total.skipped) console.log(`skipped: ${name}`);
  if (inCi && total.skipped.length > 0) {
    console.log("In CI a skipped test is a failure: install what it needs (.ci/run does).");
    total.failed += total.skipped.length;
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
