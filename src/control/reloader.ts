// A running proxy and its configuration: reads it again when somebody asks for it or its file has changed, and has the proxy
// take up what is different. What is wrong with it is told, and the proxy goes on as it is until it is mended; what is wrong
// outside of it is tried again by itself. Called by the run command.
//
// Invariant: one reload at a time; whatever is asked for meanwhile is one more reload behind it.

import { messageOf } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { LogLevel, Plan } from "../shared/plan.ts";
import type { Admin } from "./admin/admin.ts";
import { cautions } from "./cautions.ts";
import { isEmpty, type PlanDiff } from "./diff.ts";
import { FileWatch } from "./file-watch.ts";
import type { Proxy } from "./proxy.ts";
import type { ReloadCause } from "./reload-log.ts";
import type { ReloadOutcome } from "./reload-outcome.ts";
import { mayPass, ReloadRetry } from "./reload-retry.ts";

export interface ReadFile {
  readonly path: string;
  /** `signatureOf` it before it was read for the start. */
  readonly since: string;
}

export interface ReloaderOptions {
  readonly log: Log;
  /** Reads and compiles. @throws ProxyError of what is wrong. */
  readonly read: () => Promise<Plan>;
  /** The configuration's file; null: there are only flags, which do not change. */
  readonly file: ReadFile | null;
  /** Takes up its part, and is told how it went. */
  readonly admin: Admin;
  readonly setLevel: (level: LogLevel) => void;
  /** A reload begins; it is over, with a text about how it went. */
  readonly began: () => void;
  readonly ended: (status: string) => void;
}

const RIGHT = "the configuration is right again";
const AGAIN =
  "It is tried again by itself, and at once when the file changes or a reload is asked for";

export class Reloader {
  readonly #options: ReloaderOptions;
  #proxy: Proxy | undefined;
  #watch: FileWatch | undefined;
  #running: Promise<void> | null = null;
  #outcome: ReloadOutcome = { error: "the proxy is ending" };
  #again = false;
  /** Why the last one was; null: it was not. */
  #refusal: string | null = null;
  readonly #retry: ReloadRetry;
  /** Nobody has asked: what was refused is tried again. */
  #retrying = false;
  /** Who asked last. */
  #cause: ReloadCause = "file";
  /** A successor is being started, which reads the configuration as it is. */
  #held = false;
  #stopped = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#retry = new ReloadRetry(() => {
      this.#again = this.#retrying = true;
      if (!this.#held) void this.#start();
    });
  }

  /** From here on changes of the file are seen. */
  serve(proxy: Proxy): void {
    const { file, log } = this.#options;
    this.#proxy = proxy;
    const changed = (): void => {
      if (!this.#held) log.info({ file: file!.path }, "the configuration has changed");
      void this.reload("file");
    };
    if (file !== null) this.#watch = new FileWatch([file.path], changed, file.since);
    if (this.#again) void this.#start(); // it was asked for during the start
  }

  /** An upgrade begins. Settles when no reload is under way; those that are asked for from here on wait for `release`. */
  async hold(): Promise<void> {
    this.#held = true;
    await this.#running;
  }

  /** The upgrade has failed: what was asked for meanwhile is done. */
  release(): void {
    this.#held = false;
    if (this.#again) void this.#start();
  }

  stop(): void {
    this.#stopped = true;
    this.#retry.reset();
    this.#watch?.stop();
  }

  /**
   * Settles when what the configuration is now has been taken up or refused, or is left to a successor. Never rejects: the
   * log has the outcome.
   */
  async reload(cause: ReloadCause): Promise<ReloadOutcome> {
    this.#again = true;
    this.#retrying = false;
    this.#cause = cause;
    if (this.#held) return { error: "an upgrade is under way, which reads the configuration" };
    if (this.#proxy === undefined)
      return { error: "the proxy is starting, and reads it again then" };
    await this.#start();
    return this.#outcome;
  }

  #start(): Promise<void> {
    this.#running ??= this.#run().finally(() => (this.#running = null));
    return this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped && !this.#held) {
      this.#again = false;
      await this.#once();
    }
  }

  async #once(): Promise<void> {
    const proxy = this.#proxy;
    if (proxy === undefined) return;
    const { log, read, setLevel, began, ended, admin } = this.#options;
    const cause = this.#cause;
    const isRetry = this.#retrying;
    if (isRetry) this.#retry.began();
    else {
      this.#retry.reset();
      began();
    }
    this.#watch?.noted();
    try {
      const plan = await read();
      const diff = await this.#take(proxy, plan);
      setLevel(plan.log.level);
      admin.reloaded(cause, diff);
      this.#outcome = { diff };
      const again = isRetry ? "the configuration can be taken now" : RIGHT;
      if (this.#refusal !== null) log.info({}, again);
      this.#refusal = null;
      this.#tell(proxy.plan, diff);
      ended("configuration reloaded");
    } catch (error) {
      this.#refuse(error, cause, isRetry);
    }
  }

  /** One that is tried again is told of once, unless it fails for something else. */
  #refuse(error: unknown, cause: ReloadCause, isRetry: boolean): void {
    const { log, ended, admin } = this.#options;
    const again = mayPass(error);
    const reason = again ? `${messageOf(error)}. ${AGAIN}` : messageOf(error);
    if (again && !this.#stopped) this.#retry.refused();
    this.#outcome = { error: reason };
    if (isRetry && reason === this.#refusal) return;
    this.#refusal = reason;
    admin.refused(cause, reason);
    log.error({ reason }, "configuration not taken, serving on as before");
    ended(`configuration not taken, serving on as before: ${reason}`);
  }

  async #take(proxy: Proxy, plan: Plan): Promise<PlanDiff> {
    const admin = await this.#options.admin.prepare(plan.admin);
    try {
      const diff = await proxy.reload(plan);
      admin.commit();
      return diff;
    } catch (error) {
      admin.abandon();
      throw error;
    }
  }

  #tell(plan: Plan, diff: PlanDiff): void {
    const { log } = this.#options;
    if (isEmpty(diff)) return log.info({}, "configuration read again, nothing is different");
    for (const { key } of diff.removed) log.info({ listener: key }, "listener removed, draining");
    for (const { key } of diff.added) log.info({ listener: key }, "listener added");
    for (const { after, parts } of diff.changed) {
      log.info({ listener: after.key, changed: parts.join(", ") }, "listener changed");
    }
    if (diff.deferred.length > 0) {
      log.warn(
        { keys: diff.deferred.join(", ") },
        "these keys take effect with an upgrade (SIGUSR2, proxy upgrade) or a restart",
      );
    }
    const touched = new Set([...diff.added, ...diff.changed.map(({ after }) => after)]);
    const keys = new Set([...touched].map(({ key }) => key));
    for (const { listener, message } of cautions(plan)) {
      if (keys.has(listener)) log.warn({ listener }, message);
    }
    log.info(
      {
        added: diff.added.length,
        removed: diff.removed.length,
        changed: diff.changed.length,
        unchanged: diff.unchanged.length,
        ...(diff.settings.length > 0 ? { settings: diff.settings.join(", ") } : {}),
      },
      "configuration reloaded",
    );
  }
}
