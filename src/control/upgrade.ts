// An upgrade, as the process sees it that is being replaced: starts the successor with every listening socket, waits until
// it serves, and then leaves the sockets to it. Until then nothing changes here, and whatever goes wrong over there is one
// line in the log. Called by the run command.

import { closeSync, fstatSync, writeFileSync } from "node:fs";

import { messageOf, ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";
import type { Log } from "../shared/log.ts";
import type { ListeningSocket } from "../shared/messages.ts";
import { REPLACED_NAME } from "./processes.ts";
import type { Proxy } from "./proxy.ts";
import { CHANNEL_FD, type LastWord, Successor } from "./successor.ts";

export interface Heir {
  readonly pid: number;
  /** Keys of listeners all of whose sockets it accepts on. */
  readonly keys: ReadonlySet<string>;
}

export interface UpgradeOptions {
  readonly log: Log;
  /** What starts the successor: program and arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** See SuccessorOptions. */
  readonly orphan: boolean;
  readonly timeoutMs?: number;
  /** An upgrade begins, when this settles; it failed, for this reason. */
  readonly began: () => Promise<void>;
  readonly failed: (reason: string) => void;
}

export class Upgrader {
  /** Resolves when a successor serves. Then this process is to leave its listeners to it and drain. */
  readonly replaced: Promise<Heir>;
  readonly #options: UpgradeOptions;
  readonly #replaced = Promise.withResolvers<Heir>();
  #proxy: Proxy | undefined;
  #successor: Successor | undefined;
  #state: "starting" | "serving" | "upgrading" | "over" = "starting";

  constructor(options: UpgradeOptions) {
    this.#options = options;
    this.replaced = this.#replaced.promise;
  }

  /** The proxy serves: from here on it can be replaced. */
  serve(proxy: Proxy): void {
    this.#proxy = proxy;
    if (this.#state === "starting") this.#state = "serving";
  }

  /** SIGUSR2. Never throws: the log has the outcome. */
  request(): void {
    const { log } = this.#options;
    const refused = {
      starting: "it is not serving yet",
      serving: isInit() ? "the end of process 1 would end its container" : "",
      upgrading: "another one is under way",
      over: "it is ending",
    }[this.#state];
    if (refused !== "") log.warn({ reason: refused }, "upgrade refused");
    else void this.#upgrade();
  }

  /** This process is to end: a successor that does not serve yet has nothing to do. */
  close(): void {
    this.#state = "over";
    this.#successor?.kill("SIGTERM");
  }

  async #upgrade(): Promise<void> {
    const { log, began, failed } = this.#options;
    this.#state = "upgrading";
    try {
      await began();
      const heir = await this.#start();
      if (this.#isOver) return; // stopped meanwhile
      this.#state = "over";
      this.#replaced.resolve(heir);
    } catch (error) {
      if (this.#isOver) return;
      this.#state = "serving";
      log.error({ reason: messageOf(error) }, "upgrade failed, serving on");
      failed(messageOf(error));
    }
  }

  get #isOver(): boolean {
    return this.#state === "over";
  }

  /** @throws ProxyError or whatever keeps a process from being started. */
  async #start(): Promise<Heir> {
    const { log, command, env, orphan, timeoutMs = CONTROL.upgradeTimeoutMs } = this.#options;
    const sockets = await this.#sockets();
    try {
      if (this.#isOver) throw new ProxyError("ERR_STATE", "the proxy is ending");
      const wishes = this.#proxy!.wishes.wishes();
      this.#successor = new Successor({ command, env, sockets, wishes, orphan });
    } finally {
      for (const { fd } of sockets) closeSync(fd);
    }
    const lastWord = (): LastWord => ({ wishes: this.#proxy!.wishes.wishes() });
    const { pid } = this.#successor;
    log.info({ ...(pid === undefined ? {} : { pid }), command: command.join(" ") }, "upgrading");
    try {
      const serving = await this.#successor.serving(timeoutMs, lastWord);
      return { pid: serving.pid, keys: fullyTaken(sockets, serving.taken) };
    } finally {
      this.#successor = undefined;
    }
  }

  /** Each socket once, in groups by listener: several workers may hold the same one. */
  async #sockets(): Promise<ListeningSocket[]> {
    const proxy = this.#proxy!;
    const sockets = await proxy.listeningSockets();
    const seen = new Set<number>();
    const [once, twice]: [ListeningSocket[], ListeningSocket[]] = [[], []];
    for (const socket of sockets) {
      const { ino } = fstatSync(socket.fd);
      (seen.has(ino) ? twice : once).push(socket);
      seen.add(ino);
    }
    for (const { fd } of twice) closeSync(fd);
    return [...Map.groupBy(once, ({ key }) => key).values()].flat();
  }
}

/** Names this process so that people and `proxy upgrade` see it (proc(5), comm). */
export function markReplaced(): void {
  try {
    writeFileSync("/proc/self/comm", REPLACED_NAME);
  } catch {
    // Without a writable /proc the process keeps its name.
  }
}

/** Nothing else runs in a container without its first process. */
function isInit(): boolean {
  return process.pid === 1;
}

function fullyTaken(
  sockets: readonly ListeningSocket[],
  taken: readonly number[],
): ReadonlySet<string> {
  const left = sockets.filter((_, i) => !taken.includes(CHANNEL_FD + 1 + i));
  const keys = new Set(sockets.map(({ key }) => key));
  for (const { key } of left) keys.delete(key);
  return keys;
}
