// The test's end of relay-process.ts: starts it, asks for its state, sends it signals, and ends it with the test.

import type { SocketAddress } from "../../src/shared/address.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { wireAddress } from "./relay.ts";
import { within } from "./until.ts";
import { Wire, type WireAddress } from "./wire.ts";

export type ChildQuestion = "state" | "collect";

export interface ChildState {
  readonly type: "state";
  readonly stats: ListenerStats;
  /** Live connections. */
  readonly rows: number;
  /** Messages of warnings and errors so far. */
  readonly warnings: readonly string[];
}

export type ChildAnswer =
  | { readonly type: "ready"; readonly bound: SocketAddress }
  | ChildState
  | { readonly type: "stopped"; readonly reset: number };

export interface ChildOptions {
  /** `ulimit -n`. */
  readonly descriptors?: number;
  /** A program with flags that becomes the proxy: `strace -D`. */
  readonly under?: readonly string[];
}

export class RelayChild implements AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** Settles when a SIGTERM has been carried out. */
  readonly stopped: Promise<{ reset: number }>;
  readonly #process: Bun.Subprocess;
  #bound!: SocketAddress;
  #askers: ((state: ChildState) => void)[] = [];

  private constructor(plan: Plan, options: ChildOptions, ready: () => void) {
    const stopped = Promise.withResolvers<{ reset: number }>();
    this.stopped = stopped.promise;
    const script = `${import.meta.dir}/relay-process.ts`;
    const run = [...(options.under ?? []), process.execPath, script, JSON.stringify(plan)];
    const limit = ["sh", "-c", `ulimit -n ${options.descriptors} && exec "$@"`, "sh"];
    this.#process = Bun.spawn(options.descriptors === undefined ? run : [...limit, ...run], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (answer: ChildAnswer) => {
        if (answer.type === "ready") {
          this.#bound = answer.bound;
          ready();
        } else if (answer.type === "state") this.#askers.shift()?.(answer);
        else stopped.resolve(answer);
      },
    });
    this.pid = this.#process.pid;
    this.exited = this.#process.exited;
  }

  static async start(plan: Plan, options: ChildOptions = {}): Promise<RelayChild> {
    const ready = Promise.withResolvers<void>();
    const child = new RelayChild(plan, options, ready.resolve);
    const died = child.exited.then((code) => {
      throw new Error(`the proxy ended with code ${code} before it was ready`);
    });
    await within("the proxy is ready", Promise.race([ready.promise, died]), 20_000);
    died.catch(() => {}); // an end after this is the test's business
    return child;
  }

  get address(): WireAddress {
    return wireAddress(this.#bound);
  }

  get port(): number {
    return this.#bound.kind === "ip" ? this.#bound.port : 0;
  }

  connect(): Promise<Wire> {
    return Wire.connect(this.address);
  }

  /** `collect`: after a garbage collection. */
  state(question: ChildQuestion = "state"): Promise<ChildState> {
    const answer = new Promise<ChildState>((resolve) => this.#askers.push(resolve));
    this.#process.send(question);
    return within("the proxy answers", answer);
  }

  terminate(): void {
    this.#process.kill("SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.exited;
  }
}
