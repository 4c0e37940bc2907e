// `proxy doctor`: looks at the machine, and at what a configuration needs of it, and says what is wrong and what to do. It opens
// no listener; targets are connected to and not spoken with. Exit code 1 if there is a problem.

import { basename } from "node:path";

import { defineCommand } from "citty";

import { compile } from "../control/compile.ts";
import { examine } from "../doctor/checks.ts";
import type { Finding } from "../doctor/finding.ts";
import { readMachine } from "../doctor/read-machine.ts";
import { RUN_ARGS } from "./flags.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";
import { print, type Style, styleFor } from "./terminal.ts";
import { tryEngine } from "./version.ts";

export const DOCTOR_EXAMPLES: readonly Example[] = [
  ["proxy doctor -config proxy.yaml", "what could be in the way of this configuration"],
  ["proxy doctor", "the machine alone"],
];

export const doctor = defineCommand({
  meta: { name: "doctor", description: "find what is wrong here, and say the cure" },
  args: {
    config: RUN_ARGS.config,
    json: { type: "boolean", description: "print JSON" },
  },
  run: async ({ args }): Promise<number> => {
    const { config, json } = args;
    const plan = config === undefined ? null : compile(await readConfig({ config }), thisMachine());
    const findings = await examine(plan, readMachine(await tryEngine(), isProxy));
    const text =
      json === true
        ? JSON.stringify(findings, null, 2)
        : format(findings, styleFor(process.stdout));
    await print(text);
    return findings.some(({ result }) => result === "problem") ? 1 : 0;
  },
});

/** The same executable; where that is the runtime itself, it runs the same program. */
function isProxy(executable: string, words: readonly string[]): boolean {
  if (executable !== process.execPath) return false;
  const own = process.argv[1] ?? "";
  const isCompiled = !/^bun(-profile|-debug)?$/.test(basename(process.execPath, ".exe"));
  return isCompiled || words.some((word) => basename(word) === basename(own));
}

function format(findings: readonly Finding[], style: Style): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const marks = {
    ok: style.green("ok     "),
    warning: style.bold("warning"),
    problem: style.bold("PROBLEM"),
  };
  const lines = findings.flatMap(({ check, result, finding, cure }) => {
    const line = `${marks[result]}  ${check.padEnd(width)}  ${finding}`;
    return cure === null ? [line] : [line, `${" ".repeat(width + 11)}${style.dim(cure)}`];
  });
  const count = (result: Finding["result"]): number =>
    findings.filter((each) => each.result === result).length;
  const plural = (number: number, what: string): string =>
    `${number} ${what}${number === 1 ? "" : "s"}`;
  const sum = `${plural(count("problem"), "problem")}, ${plural(count("warning"), "warning")}`;
  return `${lines.join("\n")}\n\n${sum}`;
}
