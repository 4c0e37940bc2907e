// A program that runs on Node.js: peers of packages whose HTTP/2 and WebSocket are Node's, and not those of the runtime that the
// proxy runs on. It is bundled first, since Node reads no TypeScript in the versions that are around. Both sides say one JSON
// value a line: the program on its standard output, the test on its standard input, whose end ends the program.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { temporaryFolder } from "./daemon.ts";
import { program } from "./programs.ts";
import { within } from "./until.ts";

const SAID_MS = 20_000;

/** Programs as Node runs them, made once for each test file. */
const bundles = new Map<string, Promise<string>>();

function bundled(path: string): Promise<string> {
  let bundle = bundles.get(path);
  if (bundle === undefined) {
    bundle = Bun.build({ entrypoints: [path], target: "node", format: "cjs" }).then(({ outputs }) =>
      outputs[0]!.text(),
    );
    bundles.set(path, bundle);
  }
  return bundle;
}

export class NodePeer<Says> implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #folder: string;
  readonly #said: Says[] = [];
  readonly #errors: Promise<string>;
  #wake = Promise.withResolvers<void>();
  #ended = false;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "pipe">, folder: string) {
    this.#child = child;
    this.#folder = folder;
    this.#errors = new Response(child.stderr).text();
    void this.#read();
  }

  /** @param source `new URL("./peers/NAME.ts", import.meta.url)` */
  static async start<Says>(source: URL, ...args: string[]): Promise<NodePeer<Says>> {
    const text = await bundled(Bun.fileURLToPath(source));
    const folder = temporaryFolder();
    const path = join(folder, "program.cjs");
    writeFileSync(path, text);
    const child = Bun.spawn([program("node"), path, ...args], {
      cwd: join(import.meta.dir, "../.."),
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    return new NodePeer<Says>(child, folder);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#said.push(JSON.parse(line) as Says);
      this.#wake.resolve();
    }
    this.#ended = true;
    this.#wake.resolve();
  }

  tell(message: object): void {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
    this.#child.stdin.flush();
  }

  /** The next thing that it says; rejects if it ends instead, or says nothing. */
  async says(): Promise<Says> {
    const wait = async (): Promise<Says> => {
      while (this.#said.length === 0) {
        if (this.#ended) throw new Error(`the program ended: ${await this.#errors}`);
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      }
      return this.#said.shift()!;
    };
    return within("what the program on Node.js says", wait(), SAID_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
