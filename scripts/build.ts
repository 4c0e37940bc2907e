// Builds the executables: one file for each platform, with nothing to install beside it.
//   bun scripts/build.ts [--host] [--target NAME,...]     without either: all of them
// Writes dist/proxy-<platform>, dist/SHA256SUMS, and dist/proxy for this machine. Run by `npm run build`, the tests and CI.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { bundlePage, type PageBundle } from "../src/control/admin/page-bundle.ts";

const TARGETS = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
  "windows-x64",
  "windows-arm64",
] as const;
type Target = (typeof TARGETS)[number];

const USAGE = `bun scripts/build.ts [flags]   builds the executables, dist/proxy-<platform>
  --host             for this machine only
  --target NAME,...  for these: ${TARGETS.join(", ")}
  --out FOLDER       instead of dist
  -h, --help         this page`;

/** A wrong argument: one line says so, without a stack. */
class UsageError extends Error {}

const root = Bun.fileURLToPath(new URL("..", import.meta.url));
// The workers' names here are those by which src/control/worker-handle.ts starts them.
const entrypoints = ["src/cli.ts", "src/worker.ts", "src/gateway.ts"].map((path) =>
  join(root, path),
);

/** This machine's platform. @throws if there is no build for it. */
function hostTarget(): Target {
  const os = process.platform === "win32" ? "windows" : process.platform;
  const report = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const musl = os === "linux" && report.header.glibcVersionRuntime === undefined ? "-musl" : "";
  return asTarget(`${os}-${process.arch}${musl}`);
}

function asTarget(name: string): Target {
  const target = TARGETS.find((each) => each === name);
  if (target === undefined) {
    throw new UsageError(`"${name}" is not a target. Targets: ${TARGETS.join(", ")}`);
  }
  return target;
}

/** Which addon of the QUIC driver quiche a platform has; others have none, and speak QUIC by the driver bun. */
const ADDONS: Partial<Record<Target, string>> = {
  "linux-x64": "linux-x64",
  "darwin-x64": "darwin-x64",
  "darwin-arm64": "darwin-arm64",
  "windows-x64": "win32-x64",
};

/** @returns null: the platform has none, or its package is not installed on this one. */
function addonOf(target: Target): string | null {
  const name = ADDONS[target];
  if (name === undefined) return null;
  const path = join(root, "node_modules", "@matrixai", `quic-${name}`, "node.napi.node");
  return existsSync(path) ? path : null;
}

/** The target's own addon is carried, or what says that there is none. */
function addon(target: Target): Bun.BunPlugin {
  return {
    name: "addon",
    setup(builder) {
      builder.onLoad({ filter: /[\\/]quic[\\/]quiche[\\/]addon-file\.ts$/ }, () => ({
        contents: addonFileModule(target),
        loader: "js",
      }));
    },
  };
}

/** In the place of src/protocols/quic/quiche/addon-file.ts. */
function addonFileModule(target: Target): string {
  const path = addonOf(target);
  if (path !== null) {
    const file = JSON.stringify(path);
    return `import file from ${file} with { type: "file" }; export const addonFile = () => file;`;
  }
  if (ADDONS[target] === undefined) return "export const addonFile = () => null;";
  const refusal = 'throw new Error("this executable was built without it");';
  return `export const addonFile = () => { ${refusal} };`;
}

/** The dashboard is built here, and its builder stays out. */
function dashboard(bundle: PageBundle): Bun.BunPlugin {
  return {
    name: "dashboard",
    setup(builder) {
      builder.onLoad({ filter: /[\\/]control[\\/]admin[\\/]page-bundle\.ts$/ }, () => ({
        contents: `const bundle = ${JSON.stringify(bundle)}; export const bundlePage = async () => bundle;`,
        loader: "js",
      }));
    },
  };
}

function fileName(name: string, target: Target): string {
  return target.startsWith("windows") ? `${name}.exe` : name;
}

/** @returns the executable's path in `dist`. */
async function build(target: Target, dist: string, page: PageBundle): Promise<string> {
  const directory = mkdtempSync(join(dist, ".build-"));
  const outfile = join(directory, fileName("proxy", target));
  try {
    await Bun.build({
      entrypoints,
      plugins: [addon(target), dashboard(page)],
      // Without "esm", bytecode turns modules into CommonJS, which has no top-level await and fixes import.meta.url.
      format: "esm",
      minify: true,
      sourcemap: "linked",
      // `proxy -version`, which starts a worker and its engine: 87 ms with bytecode, 181 ms without, 364 ms from the
      // source files (medians of 25 on 2 busy cores); the executable grows by 4 MB.
      bytecode: true,
      // A stray .env or bunfig.toml in the working directory must not change what the proxy does.
      compile: {
        target: `bun-${target}`,
        outfile,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
    });
    const path = join(dist, fileName(`proxy-${target}`, target));
    renameSync(outfile, path);
    chmodSync(path, 0o755);
    return path;
  } finally {
    // Source maps are written beside the executable, and are also inside it.
    rmSync(directory, { recursive: true, force: true });
  }
}

function withoutAddon(target: Target): string {
  const name = ADDONS[target];
  if (name === undefined) return "  QUIC by the driver bun: there is no addon for it";
  const [os, cpu] = name.split("-");
  return `  QUIC by the driver bun: without its addon (bun install --os ${os} --cpu ${cpu} installs it)`;
}

/** Sums of every executable in `dist`, in the form that `sha256sum --check` reads. */
async function writeSums(dist: string): Promise<void> {
  const names = readdirSync(dist)
    .filter((name) => name.startsWith("proxy-"))
    .toSorted();
  const lines = names.map(async (name) => {
    const hasher = new Bun.CryptoHasher("sha256");
    for await (const chunk of Bun.file(join(dist, name)).stream()) hasher.update(chunk);
    return `${hasher.digest("hex")}  ${name}\n`;
  });
  await Bun.write(join(dist, "SHA256SUMS"), (await Promise.all(lines)).join(""));
}

function parse() {
  const options = {
    host: { type: "boolean", default: false },
    target: { type: "string" },
    out: { type: "string", default: join(root, "dist") },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

async function main(): Promise<void> {
  const values = parse();
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const host = hostTarget();
  const wanted = values.host ? [host] : (values.target?.split(",").map(asTarget) ?? TARGETS);
  const dist = values.out;
  mkdirSync(dist, { recursive: true });
  const page = await bundlePage();
  for (const target of wanted) {
    const begin = performance.now();
    const path = await build(target, dist, page);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const megabytes = (Bun.file(path).size / 1e6).toFixed(0);
    const quic = addonOf(target) === null ? withoutAddon(target) : "";
    console.log(`${target.padEnd(18)} ${megabytes.padStart(4)} MB  ${seconds} s${quic}`);
  }
  const own = join(dist, fileName(`proxy-${host}`, host));
  if (existsSync(own)) replace(own, join(dist, fileName("proxy", host)));
  await writeSums(dist);
}

/** Also one that runs, into which nothing can be written (ETXTBSY). */
function replace(from: string, to: string): void {
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\nbun scripts/build.ts --help lists the flags.`);
  process.exitCode = 2;
}
