// quic-peer, a program on quic-go (.ci/quic-peer): a client or server of QUIC or HTTP/3 that says what happens to it, one JSON
// value a line. Disposed of, it is gone.

import { program } from "./programs.ts";
import { within } from "./until.ts";

/** What it says has these, each in some of its lines. */
export interface Said {
  readonly error?: string;
  readonly port?: number;
  readonly [key: string]: unknown;
}

const SAID_MS = 60_000;

export class GoPeer implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #errors: Promise<string>;
  readonly #said: Said[] = [];
  #wake = Promise.withResolvers<void>();
  #ended = false;

  /** @param args as its source has them. */
  constructor(...args: readonly string[]) {
    this.#child = Bun.spawn([program("quic-peer"), ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      // Its complaints about the kernel's buffers are no matter.
      env: { ...process.env, QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING: "true" },
    });
    this.#errors = new Response(this.#child.stderr).text();
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#said.push(JSON.parse(line) as Said);
      this.#wake.resolve();
    }
    this.#ended = true;
    this.#wake.resolve();
  }

  /** The next thing that it says. */
  async says(): Promise<Said> {
    const wait = async (): Promise<Said> => {
      while (this.#said.length === 0) {
        if (this.#ended) throw new Error(`quic-peer ended: ${await this.#errors}`);
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      }
      return this.#said.shift()!;
    };
    return within("what quic-peer says", wait(), SAID_MS);
  }

  /** The next thing with this key; what comes before is passed over. */
  async saysOf(key: string): Promise<Said> {
    for (;;) {
      const said = await this.says();
      if (key in said) return said;
      if (said.error !== undefined) throw new Error(`quic-peer: ${said.error}`);
    }
  }

  /** It waits for a line. */
  goOn(): void {
    this.#child.stdin.write("\n");
    this.#child.stdin.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
