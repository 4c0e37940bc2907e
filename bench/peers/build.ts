// Builds the contestants that no distribution has, at fixed versions, into bench/.cache: `bun run bench --build-peers`.
// One that is in the PATH already need not be built. What cannot be built is left out of the benchmark, with the
// reason said here.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
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
  /** What it says of itself, where Go does not tell it. */
  ldflags?: string;
  /** A module's own replacements hold only where it is the main one (go.dev/ref/mod). */
  replace?: string;
}

/** A program of ours on somebody else's module. */
interface GoSource {
  name: string;
  language: "go-source";
  module: string;
  version: string;
  source: URL;
}

interface RustTool {
  name: string;
  language: "rust";
  version: string;
  features: string;
}

const QUIC_GO = {
  language: "go-source",
  module: "github.com/quic-go/quic-go",
  version: "v0.65.0",
} as const;

export const TOOLS: readonly (GoTool | GoSource | RustTool)[] = [
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
  {
    name: "caddy",
    language: "go",
    module: "github.com/caddyserver/caddy/v2",
    version: "v2.11.9",
    packages: ["cmd/caddy"],
    ldflags: "-X github.com/caddyserver/caddy/v2.CustomVersion=v2.11.9",
  },
  { name: "quic-relay", ...QUIC_GO, source: new URL("./quic/relay.go", import.meta.url) },
  { name: "quic-load", ...QUIC_GO, source: new URL("../load/quic.go", import.meta.url) },
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

/** In a module of its own, which is gone afterwards. */
async function inModule(
  use: (go: (...args: string[]) => Promise<string>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "bench-peer-"));
  const go = (...args: string[]): Promise<string> =>
    run(["go", "-C", directory, ...args], { CGO_ENABLED: "0" });
  try {
    await go("mod", "init", "peer");
    await use(go, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function buildGo({
  module,
  version,
  packages,
  replace,
  ldflags = "",
}: GoTool): Promise<void> {
  if (replace === undefined) {
    const programs = packages.map((path) => `${module}/${path}@${version}`);
    await run(["go", "install", `-ldflags=${ldflags}`, ...programs], {
      CGO_ENABLED: "0",
      GOBIN: CACHE,
    });
    return;
  }
  await inModule(async (go) => {
    await go("mod", "edit", `-replace=${replace}`);
    await go("get", ...packages.map((path) => `${module}/${path}@${version}`));
    await go("build", "-o", `${CACHE}/`, ...packages.map((path) => `${module}/${path}`));
  });
}

function buildSource({ name, module, version, source }: GoSource): Promise<void> {
  return inModule(async (go, directory) => {
    copyFileSync(source, join(directory, "main.go"));
    await go("get", `${module}@${version}`);
    await go("mod", "tidy");
    await go("build", "-o", join(CACHE, name), ".");
  });
}

/** Without its lock file: that holds a version of `time` which compilers since Rust 1.80 do not accept. */
async function buildRust({ name, version, features }: RustTool): Promise<void> {
  const root = join(CACHE, "..");
  const options = ["--version", version, "--no-default-features", "--features", features];
  await run(["cargo", "install", name, ...options, "--root", root]);
}

function build(tool: (typeof TOOLS)[number]): Promise<void> {
  if (tool.language === "go") return buildGo(tool);
  return tool.language === "go-source" ? buildSource(tool) : buildRust(tool);
}

export async function buildTools(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  for (const tool of TOOLS) {
    try {
      await build(tool);
      console.log(`${tool.name} ${tool.version}: built`);
    } catch (error) {
      const reason = (error as Error).message.trim().split("\n").slice(0, REASON_LINES).join("\n");
      console.log(`${tool.name} ${tool.version}: ${reason}`);
    }
  }
}
