// The process that is to replace this one, from its start until it serves or has failed. The other side is predecessor.ts.
// Called by upgrade.ts.
//
//   its descriptors: 3 the channel, 4 and up the listening sockets, in the order of the legacy's listeners
//   what comes over the channel: lines of JSON, a `Hello` and a `Report`
//   what goes: our `LastWord`, and its end, at which the successor is in charge

import type { Socket, Subprocess } from "bun";

import { ProxyError } from "../shared/errors.ts";
import type { ListeningSocket } from "../shared/messages.ts";
import { successorsOf } from "./processes.ts";
import type { HandedWishes } from "./target-wishes.ts";

/** Environment variable that tells a process of its predecessor: `Legacy` as JSON. */
export const UPGRADE_ENV = "PROXY_UPGRADE";
export const CHANNEL_FD = 3;

export interface Legacy {
  /** The predecessor's process id. It stands first, where processes.ts looks for it. */
  readonly parent: number;
  /** ListenerPlan.key and how many sockets it has. */
  readonly listeners: readonly (readonly [key: string, sockets: number])[];
  /** What operators want of targets; left out where they do not fit into a variable. */
  readonly wishes?: HandedWishes;
}

/** What the successor is told when it serves. */
export interface LastWord {
  /** All of them, since some may be of the time in which it was starting. */
  readonly wishes: HandedWishes;
}

/** It has started. */
export interface Hello {
  readonly pid: number;
}

export type Report =
  /** It serves. The descriptors, as it numbers them, on which it accepts. */
  { readonly taken: readonly number[] } | { readonly failed: string };

export interface SuccessorOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly wishes: HandedWishes;
  /** In groups by listener. They stay the caller's, who may close them afterwards. */
  readonly sockets: readonly ListeningSocket[];
  /**
   * Its parent is to be whoever adopts orphans, from the start. A service manager waits for its own children to drain, and
   * kills a main process that was somebody else's child when it heard of it.
   */
  readonly orphan: boolean;
}

/** What a successor that serves has told. */
export interface Serving {
  readonly pid: number;
  readonly taken: readonly number[];
}

/** Starts a program and ends at once. */
const ORPHAN = ["sh", "-c", '"$@" &', "sh"];

export class Successor {
  /** Its own, or that of the shell that starts it. */
  readonly #child: Subprocess;
  readonly #orphan: boolean;
  readonly #report = Promise.withResolvers<Report>();
  #pid: number | undefined;
  /** The channel takes bytes again, or never will. */
  #drained = (): void => {};
  #closed = false;

  /** @throws whatever keeps a process from being started. */
  constructor({ command, env, sockets, wishes, orphan }: SuccessorOptions) {
    const groups = Map.groupBy(sockets, ({ key }) => key);
    const legacy: Legacy = {
      parent: process.pid,
      listeners: [...groups].map(([key, group]) => [key, group.length]),
      ...(Buffer.byteLength(JSON.stringify(wishes)) <= VARIABLE_MAX_BYTES ? { wishes } : {}),
    };
    const fds = [...groups.values()].flat().map(({ fd }) => fd);
    this.#orphan = orphan;
    // The successor writes to the same log: it goes on when we are gone.
    this.#child = Bun.spawn(orphan ? [...ORPHAN, ...command] : [...command], {
      stdio: ["ignore", "inherit", "inherit", "pipe", ...fds],
      env: { ...env, [UPGRADE_ENV]: JSON.stringify(legacy) },
    });
    if (!orphan) this.#pid = this.#child.pid;
    this.#report.promise.catch(() => {}); // it may come while the channel is being opened
    void this.#watch();
  }

  /** undefined: not known yet. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /**
   * @param lastWord is asked when it serves.
   * @throws ProxyError ERR_UPGRADE if it ends, says that it cannot, or takes too long; then it is ended.
   */
  async serving(timeoutMs: number, lastWord: () => LastWord): Promise<Serving> {
    const late = setTimeout(() => {
      this.#report.reject(this.#failure(`it did not serve within ${timeoutMs / 1_000} s`));
      this.kill("SIGKILL");
    }, timeoutMs);
    let channel: Socket | undefined;
    try {
      channel = await this.#listen();
      const report = await this.#report.promise;
      if ("failed" in report) throw this.#failure(report.failed);
      await this.#tell(channel, lastWord());
      return { pid: this.#pid!, taken: report.taken };
    } finally {
      clearTimeout(late);
      channel?.terminate();
      this.#child.unref(); // it is to outlive us, or it is about to end
    }
  }

  /** It may be gone, or be of a version that does not listen to the end. */
  async #tell(channel: Socket, word: LastWord): Promise<void> {
    let rest: Uint8Array = Buffer.from(`${JSON.stringify(word)}\n`);
    while (rest.length > 0 && !this.#closed) {
      const drained = Promise.withResolvers<void>();
      this.#drained = drained.resolve;
      const sent = channel.write(rest);
      if (sent < 0) return;
      rest = rest.subarray(sent);
      if (rest.length > 0) await drained.promise;
    }
  }

  /** Nothing of an upgrade that has not succeeded is to be left. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#orphan) return this.#child.kill(signal);
    for (const pid of successorsOf(process.pid)) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
  }

  /** How it ends, where it is our child. */
  async #watch(): Promise<void> {
    const code = await this.#child.exited;
    if (this.#orphan && code === 0) return; // the shell; the channel tells of the rest
    const { signalCode } = this.#child;
    // What it said before it ended comes first.
    setTimeout(() => {
      const how = signalCode === null ? `code ${code}` : `signal ${signalCode}`;
      this.#report.reject(this.#failure(`it ended with ${how}`));
    }, LAST_WORDS_MS);
  }

  #listen(): Promise<Socket> {
    // The typings leave `fd` out of Bun.connect's overloads.
    const connect = Bun.connect as unknown as ConnectFd;
    let rest = "";
    return connect({
      fd: this.#child.stdio[CHANNEL_FD] as number,
      socket: {
        data: (_, bytes) => {
          const lines = (rest + bytes.toString()).split("\n");
          rest = lines.pop()!;
          for (const line of lines) this.#take(JSON.parse(line) as Hello | Report);
        },
        drain: () => this.#drained(),
        close: () => {
          this.#closed = true;
          this.#drained();
          if (this.#orphan) this.#report.reject(this.#failure("it ended before it served"));
        },
      },
    });
  }

  #take(message: Hello | Report): void {
    if ("pid" in message) this.#pid = message.pid;
    else this.#report.resolve(message);
  }

  #failure(reason: string): ProxyError {
    const who = this.#pid === undefined ? "the new process" : `process ${this.#pid}`;
    return new ProxyError("ERR_UPGRADE", `${who}: ${reason}`);
  }
}

/** Of the 128 KiB that execve(2) takes, beside the sockets; beyond some thousand wishes, the last word tells them. */
const VARIABLE_MAX_BYTES = 64 * 1024;

/** How long a line that a process wrote before its end may take. */
const LAST_WORDS_MS = 100;

type ConnectFd = (options: {
  fd: number;
  socket: { data(socket: Socket, bytes: Buffer): void; drain(): void; close(): void };
}) => Promise<Socket>;
