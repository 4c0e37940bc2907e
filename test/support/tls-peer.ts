// A TLS client on Python's OpenSSL, which ends its direction in TLS (close_notify) and in TCP (FIN) as it is told, and tells
// which of them came. Called by tests of TLS.

import { program } from "./programs.ts";
import { within } from "./until.ts";

export interface PeerOptions {
  port: number;
  caFile: string;
  /** Default: `a.example`. */
  name?: string;
  /** The highest. Default: 1.3. */
  version?: "1.2" | "1.3";
}

const SCRIPT = Bun.fileURLToPath(new URL("./tls-peer.py", import.meta.url));

export class TlsPeer implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  constructor({ port, caFile, name = "a.example", version = "1.3" }: PeerOptions) {
    const command = [
      program("python3"),
      "-u",
      SCRIPT,
      "127.0.0.1",
      `${port}`,
      caFile,
      name,
      version,
    ];
    this.#process = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#lines = linesOf(this.#process.stdout);
  }

  /** Connected, after the handshake. */
  static async connect(options: PeerOptions): Promise<TlsPeer> {
    const peer = new TlsPeer(options);
    const ready = await peer.next();
    if (!ready.startsWith("ready ")) throw new Error(ready);
    return peer;
  }

  /** What happens next: `data hello`, `notify`, `fin`, `reset`, `failed WHY`. */
  async next(): Promise<string> {
    const { value, done } = await within("the peer's next line", this.#lines.next());
    return done === true ? "gone" : value;
  }

  /** `send TEXT`, `notify`, `fin`, `reset`. */
  async do(...commands: readonly string[]): Promise<void> {
    for (const command of commands) this.#process.stdin.write(`${command}\n`);
    await this.#process.stdin.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
