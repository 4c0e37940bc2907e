// Where and when a result was made: without it a figure means nothing. Called by main.ts; read by the report.

import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

export interface Machine {
  cpu: string;
  cores: number;
  memoryGib: number;
  system: string;
  bun: string;
  /** The engine that `auto` takes. */
  engine: string;
  iperf3: string;
  date: string;
  /** The project's commit; with a plus sign if files had changed since. */
  commit: string;
}

function output(command: string[], cwd: string = import.meta.dir): string {
  if (Bun.which(command[0]!) === null) return "";
  return Bun.spawnSync(command, { cwd }).stdout.toString().trim();
}

const cli = Bun.fileURLToPath(new URL("../src/cli.ts", import.meta.url));

/** What the program itself says that it would start with here. */
function autoEngine(): string {
  return /^engine +(\w+)/m.exec(output([process.execPath, cli, "-version"]))?.[1] ?? "";
}

/** Of a checkout; with a plus sign if files of its `src` have changed since. */
export function commitOf(root: string): string {
  const changed = output(["git", "status", "--porcelain", "--", "src"], root) === "" ? "" : "+";
  return `${output(["git", "rev-parse", "--short", "HEAD"], root)}${changed}`;
}

export function thisMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${/^\d+\.\d+/.exec(release())?.[0] ?? ""}`,
    bun: Bun.version,
    engine: autoEngine(),
    iperf3: /^iperf (\S+)/.exec(output(["iperf3", "--version"]))?.[1] ?? "",
    date: new Date().toISOString().slice(0, 10),
    commit: commitOf(join(import.meta.dir, "..")),
  };
}
