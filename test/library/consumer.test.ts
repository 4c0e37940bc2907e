// The package from a consumer's point of view: a project of its own, outside this folder, that finds `bun-tunnel` in its
// node_modules and has the compiler options of `bun init`.
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as library from "../../src/index.ts";

const ROOT = Bun.fileURLToPath(new URL("../..", import.meta.url));

/** As `bun init` writes them, but for the browser's. */
const COMPILER_OPTIONS = {
  lib: ["ESNext"],
  target: "ESNext",
  module: "Preserve",
  moduleDetection: "force",
  types: ["bun-types"],
  moduleResolution: "bundler",
  allowImportingTsExtensions: true,
  verbatimModuleSyntax: true,
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  noFallthroughCasesInSwitch: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
};

class Project implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "consumer-"));

  static async with(main: string): Promise<Project> {
    const project = new Project();
    const modules = join(project.folder, "node_modules");
    mkdirSync(modules);
    symlinkSync(ROOT, join(modules, "bun-tunnel"), "junction");
    symlinkSync(join(ROOT, "node_modules/bun-types"), join(modules, "bun-types"), "junction");
    const files = {
      "package.json": JSON.stringify({ name: "consumer", private: true, type: "module" }),
      "tsconfig.json": JSON.stringify({ compilerOptions: COMPILER_OPTIONS }),
      "main.ts": main,
    };
    for (const [name, text] of Object.entries(files)) {
      await Bun.write(join(project.folder, name), text);
    }
    return project;
  }

  async bun(...args: string[]): Promise<{ code: number; output: string }> {
    const child = Bun.spawn([process.execPath, ...args], {
      cwd: this.folder,
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, output: output.join("") };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

describe("a project that depends on bun-tunnel", () => {
  test("type-checks with every export, and runs", async () => {
    const example = await Bun.file(join(import.meta.dir, "examples/consumer.ts")).text();
    using project = await Project.with(example);
    expect(await project.bun("check")).toMatchObject({ code: 0 });
    const run = await project.bun("main.ts");
    expect(run.output).toContain("ERR_NOT_AVAILABLE 36 36 10");
    expect(run.code).toBe(0);
  }, 60_000);

  test("is told by the compiler of a misspelt field", async () => {
    using project = await Project.with(
      'import { Tunnel } from "bun-tunnel";\nnew Tunnel({ listenAddr: ":0", targetAdr: "a:1" });\n',
    );
    const { code, output } = await project.bun("check");
    expect(code).not.toBe(0);
    expect(output).toContain("targetAdr");
  }, 60_000);

  test("sees in the example every value that the library exports", async () => {
    const example = await Bun.file(join(import.meta.dir, "examples/consumer.ts")).text();
    const unused = Object.keys(library).filter((name) => !example.includes(name));
    expect(unused).toEqual([]);
  });
});
