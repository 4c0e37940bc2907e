// Builds the contestants that no distribution has, at fixed versions, into bench/.cache: `bun run bench --build-peers`.
// One that is in the PATH already need not be built. What cannot be built is left out of the benchmark, with the
// reason said here.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runChild } from "../children.ts";

interface GoTool {
  name: string;
  language: "go";
  module: string;
  version: string;
  /** Programs: the last part of a package's path is the name. */
  packages: string[];
  /** A module's own replacements hold only where it is the main one (go.dev/ref/mod). */
  replace?: string;
}

interface RustTool {
  name: string;
  language: "rust";
  version: string;
  features: string;
}

export const TOOLS: readonly (GoTool | RustTool)[] = [
  {
    name: "gost",
    language: "go",
    module: "github.com/go-gost/gost",
    version: "v0.0.0-20250208151118-015923fa5df8", // a commit: its tags of version 3 are none to Go
    packages: ["cmd/gost"],
  },
  {
    name: "frp",
    language: "go",
    module: "github.com/fatedier/frp",
    version: "v0.60.0",
    packages: ["cmd/frps", "cmd/frpc"],
    replace:
      "github.com/hashicorp/yamux=github.com/fatedier/yamux@v0.0.0-20230628132301-7aca4898904d",
  },
  { name: "rathole", language: "rust", version: "0.5.0", features: "server,client" },
];

/** Where the programs are. */
export const CACHE = Bun.fileURLToPath(new URL("../.cache/bin", import.meta.url));

const BUILD_MS = 30 * 60_000;
const NICE = ["nice", "-n", "15"];
const REASON_LINES = 3;

function run(command: string[], env: Record<string, string> = {}): Promise<string> {
  return runChild([...NICE, ...command], BUILD_MS, env);
}

async function buildGo({ module, version, packages, replace }: GoTool): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "bench-peer-"));
  const go = (...args: string[]): Promise<string> =>
    run(["go", "-C", directory, ...args], { CGO_ENABLED: "0" });
  try {
    await go("mod", "init", "peer");
    if (replace !== undefined) await go("mod", "edit", `-replace=${replace}`);
    await go("get", ...packages.map((path) => `${module}/${path}@${version}`));
    await go("build", "-o", `${CACHE}/`, ...packages.map((path) => `${module}/${path}`));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Without its lock file: that holds a version of `time` which compilers since Rust 1.80 do not accept. */
async function buildRust({ name, version, features }: RustTool): Promise<void> {
  const root = join(CACHE, "..");
  const options = ["--version", version, "--no-default-features", "--features", features];
  await run(["cargo", "install", name, ...options, "--root", root]);
}

export async function buildTools(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  for (const tool of TOOLS) {
    try {
      await (tool.language === "go" ? buildGo(tool) : buildRust(tool));
      console.log(`${tool.name} ${tool.version}: built`);
    } catch (error) {
      const reason = (error as Error).message.trim().split("\n").slice(0, REASON_LINES).join("\n");
      console.log(`${tool.name} ${tool.version}: ${reason}`);
    }
  }
}
