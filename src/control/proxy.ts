// The proxy's life: starts workers, opens listeners on them, brings both back after a crash, adds counters up, drains.
// Invariant: a listener that `start` opened is open, or being opened again, on every worker that is alive, until `stop`
// or `kill`.

import type { SocketAddress } from "../shared/address.ts";
import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import { ProxyError } from "../shared/errors.ts";
import { type Log, silentLog } from "../shared/log.ts";
import type { AdoptRequest, ListeningSocket, WorkerEvent } from "../shared/messages.ts";
import type { EngineName, Plan } from "../shared/plan.ts";
import { AccessLogs } from "./access-logs.ts";
import { PendingAnswers } from "./acme/pending-answers.ts";
import type { CertificateStatus } from "./acme/status.ts";
import { WantedCertificates } from "./acme/wanted.ts";
import { AutoTls } from "./auto-tls.ts";
import { type CertificateExpiry, Certificates } from "./certificates/certificates.ts";
import { Chorus } from "./chorus.ts";
import type { PlanDiff } from "./diff.ts";
import { logWorkerEvent } from "./events.ts";
import { HandOvers } from "./hand-overs.ts";
import { Inheritance } from "./inheritance.ts";
import type { ListenerSummary } from "./listener.ts";
import { Listeners } from "./listeners.ts";
import { LiveConnections } from "./live-connections.ts";
import { OverloadWatch } from "./overload/watch.ts";
import { type Adoption, Pairs } from "./pairs.ts";
import type { Overload, ProxyConnection, ProxyHealth, ProxyStats } from "./proxy-state.ts";
import { Questions } from "./questions.ts";
import { Refusals } from "./refusals.ts";
import { type Lookup, systemLookup } from "./resolver.ts";
import { type Served, TakingUp } from "./taking-up.ts";
import type { TargetWish } from "./target-wishes.ts";
import type { ListedTarget } from "./targets.ts";
import { Warned } from "./warned.ts";
import type { WorkerHandle } from "./worker-handle.ts";
import { Workers } from "./workers.ts";

export interface ProxyOptions {
  /** Default: silent. */
  readonly log?: Log;
  /** How names become addresses; default: the system's resolver. */
  readonly lookup?: Lookup;
  /** Listening sockets to accept on instead of binding; closed when the proxy has started. Default: none. */
  readonly inheritance?: Inheritance;
}

type State = "running" | "draining" | "ended";

export class Proxy implements AsyncDisposable {
  readonly #served: Served;
  /** What listeners answer challenges of certificate authorities with. */
  readonly challenges: PendingAnswers;
  /** Names that handshakes wait for. */
  readonly wanted: WantedCertificates;
  readonly live: LiveConnections;
  readonly #log: Log;
  readonly #lookup: Lookup;
  readonly #startedMs = performance.now();
  readonly #workers: Workers;
  readonly #watch: OverloadWatch;
  readonly #refusals: Refusals;
  readonly #chorus: Chorus;
  readonly #handOvers: HandOvers<WorkerHandle>;
  readonly #inheritance: Inheritance;
  #certificates!: Certificates;
  #listeners!: Listeners;
  readonly #questions = new Questions();
  readonly #pairs = new Pairs();
  readonly #accessLogs: AccessLogs;
  readonly #warned = new Warned();
  /** Of the plans to come; null until every listener was opened: `start` sees to those that are not yet there. */
  #takingUp: TakingUp | null = null;
  #state: State = "running";
  #workerRestarts = 0;
  #drained = new Set<WorkerHandle>();
  #onDrained: (() => void) | null = null;
  #resetAtEnd = 0;
  #ending: Promise<{ reset: number }> | null = null;

  private constructor(plan: Plan, options: ProxyOptions) {
    this.#served = { plan, autoTls: null };
    this.#log = options.log ?? silentLog;
    this.#accessLogs = new AccessLogs(this.#log);
    this.#lookup = options.lookup ?? systemLookup;
    this.#inheritance = options.inheritance ?? new Inheritance();
    this.#workers = new Workers(plan, this.#log, (index) => ({
      event: (event) => this.#handle(index, event),
      gone: (error, restarts) => this.#workerGone(index, error, restarts),
      replaced: (worker) => void this.#workerReplaced(worker),
    }));
    this.#watch = new OverloadWatch({
      log: this.#log,
      board: this.#workers.strain,
      plan: () => this.plan.overload,
      workers: () => this.#workers.alive(),
      collect: () => {
        for (const worker of this.#workers.alive()) worker.post({ type: "collect" });
      },
    });
    const gateways = (): WorkerHandle[] => this.#workers.alive("gateway");
    this.challenges = new PendingAnswers(gateways, this.#questions);
    this.wanted = new WantedCertificates(gateways);
    this.#handOvers = new HandOvers(this.#workers.loads, (slot) => this.#listeners.workersOf(slot));
    const keyOf = (slot: number): string => this.#listeners.keyOf(slot);
    this.live = new LiveConnections(() => this.#workers.alive(), keyOf);
    // Sums belong to no worker, and their lines name none.
    this.#refusals = new Refusals((event) => logWorkerEvent(this.#log, null, event));
    this.#chorus = new Chorus((event, voice) => logWorkerEvent(this.#log, voice, event));
  }

  /**
   * Starts workers, resolves names and opens every listener of the plan.
   * @throws ProxyError ERR_LISTEN, ERR_RESOLVE (for a name to listen on), ERR_CERTIFICATE, ERR_ENGINE, ERR_WORKER, or ERR_SYSTEM
   * for an access log that cannot be opened; nothing stays open.
   */
  static async start(plan: Plan, options: ProxyOptions = {}): Promise<Proxy> {
    const proxy = new Proxy(plan, options);
    try {
      await proxy.#start();
    } catch (error) {
      await proxy.kill();
      proxy.#inheritance.close(silentLog); // of what nobody came to take there is nothing to tell
      throw error;
    }
    proxy.#inheritance.close(proxy.#log);
    return proxy;
  }

  /** What it serves at this moment. */
  get plan(): Plan {
    return this.#served.plan;
  }

  /** What runs; null if no listener needs an engine. */
  get engine(): EngineName | null {
    return this.#workers.firstRelay()?.engine ?? null;
  }

  /** Why `auto` did not take a faster engine; empty if it took the fastest. */
  get engineReason(): string {
    return this.#workers.firstRelay()?.engineReason ?? "";
  }

  listeners(): ListenerSummary[] {
    return this.#listeners.summaries();
  }

  /** Of those that are managed. */
  certificates(): CertificateStatus[] {
    return this.#served.autoTls?.status() ?? [];
  }

  /** Of files that listeners show. */
  certificateFiles(): CertificateExpiry[] {
    return this.#certificates.expiries();
  }

  /** Those that are up. */
  workers(): readonly Pick<WorkerHandle, "index" | "kind">[] {
    return this.#workers.alive();
  }

  /** Whether workers tell of every connection, as with log_level: debug. */
  trace(on: boolean): void {
    this.#workers.trace(on);
  }

  stats(): ProxyStats {
    const uptimeMs = performance.now() - this.#startedMs;
    return { uptimeMs, workerRestarts: this.#workerRestarts, listeners: this.#listeners.stats() };
  }

  health(): ProxyHealth {
    return this.#watch.health();
  }

  /** Why new work is turned away at this moment; empty: none is. */
  overloads(): Overload[] {
    return this.#watch.overloads();
  }

  /** Of the plan's listeners, by key: every address that clients could go to. */
  targets(): ReadonlyMap<string, readonly ListedTarget[]> {
    return this.#listeners.targets();
  }

  /**
   * What an operator wants of a target, by its name or as it is configured (TargetDirectory.wish). It holds over changes of
   * addresses, worker crashes, and reloads and upgrades that keep the target; not over a restart.
   * @returns false: the listener has no such target. Workers have obeyed once `answers` settles.
   */
  wish(listener: string, target: string, wish: TargetWish): boolean {
    return this.#listeners.wish(listener, target, wish);
  }

  /** What operators want of targets: for a successor, and of a predecessor. */
  get wishes(): Pick<Listeners, "wishes" | "takeWishes"> {
    return this.#listeners;
  }

  /** Every one; `live` tells of some at less cost. */
  connections(): ProxyConnection[] {
    return this.live.find({}, Infinity).connections;
  }

  /** Resets one connection, named as in `connections()`. Nothing happens if it is over. */
  disconnect(worker: number, id: number): void {
    this.#workers.at(worker)?.post({ type: "disconnect", id });
  }

  /**
   * Relays between two connected stream descriptors of this process until both directions have ended. The caller closes
   * its own descriptors once `taken` has resolved: the worker holds duplicates by then.
   */
  adopt(fds: readonly [number, number], options: Omit<AdoptRequest, "fds">): Adoption {
    const [worker] = this.#state === "running" ? this.#workers.alive("relay") : [];
    return this.#pairs.adopt(worker, { fds, ...options });
  }

  /** Whether a worker is up, and every one that is answers. Waits as long as that takes. */
  async answers(): Promise<boolean> {
    const answers = await this.#questions.ask(this.#workers.alive(), "alive");
    return answers.some((answer) => answer !== null);
  }

  /** Duplicates of the relay workers' listening sockets; they are the caller's to close. None where they cannot be had. */
  async listeningSockets(): Promise<ListeningSocket[]> {
    const answers = await this.#questions.ask(this.#workers.alive(), "sockets");
    return answers.flatMap((sockets) => sockets ?? []);
  }

  /** Opens the files of access logs anew: whoever rotates logs has renamed them. @returns false if there are none. */
  reopenLogs(): boolean {
    return this.#accessLogs.reopen();
  }

  /** Reads certificates again; connections stay as they are. What is wrong is logged, and the old ones stay. */
  reloadCertificates(): void {
    this.#certificates.reload();
  }

  /**
   * Serves another plan from now on, and touches only what is another in it: listeners that are new are opened, those that are
   * gone drain, those that changed serve new clients as they are now and old ones as they were. `engine`, `workers` and `uring`
   * stay (PlanDiff.deferred).
   * @throws ProxyError as `start`, or ERR_STATE while another reload is under way; everything is as it was then.
   */
  async reload(plan: Plan): Promise<PlanDiff> {
    if (this.#state !== "running" || this.#takingUp === null) {
      throw new ProxyError("ERR_STATE", "the proxy is not serving");
    }
    return this.#takingUp.take(plan);
  }

  /** Another process accepts on the sockets of these listeners: when this one ends, their files stay. */
  handOn(keys: ReadonlySet<string>): void {
    const slots = this.#listeners.leaveFiles(keys);
    for (const worker of this.#workers.alive("gateway")) worker.post({ type: "hand_on", slots });
  }

  /**
   * Closes the listeners, waits for connections to finish, and resets those that are left.
   * @param timeoutMs default: the plan's shutdown timeout.
   * @returns how many connections were reset.
   */
  stop(timeoutMs: number = this.plan.shutdownTimeoutMs): Promise<{ reset: number }> {
    if (this.#state === "running") {
      this.#state = "draining";
      void this.#served.autoTls?.stop();
      this.#ending = this.#drain(timeoutMs).then(() => this.#end());
    }
    return this.#ending ?? Promise.resolve({ reset: 0 });
  }

  /** Resets every connection and ends at once, also while `stop` waits. */
  async kill(): Promise<void> {
    this.#served.autoTls?.hurry();
    if (this.#state === "running") {
      this.#state = "draining";
      this.#ending = this.#end();
    } else this.#onDrained?.();
    await this.#ending;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #start(): Promise<void> {
    const { listeners, autoTls } = this.plan;
    this.#accessLogs.prepare(listeners).commit();
    this.#served.autoTls = await this.#openAutoTls(autoTls);
    const changed = (key: string): void => this.#listeners.certificatesChanged(key);
    this.#certificates = Certificates.read(listeners, this.#log, changed, this.#served.autoTls);
    this.#listeners = new Listeners({
      log: this.#log,
      lookup: this.#lookup,
      certificates: this.#certificates,
      reusePort: this.#workers.count > 1,
      workers: (kind) => this.#workers.alive(kind),
      isUnderWay: (slot) => this.#handOvers.has(slot),
    });
    await this.#workers.start(this.plan.listeners);
    await this.#listeners.open(this.plan.listeners, this.#inheritance);
    if (this.#inheritance.quiet) await this.#questions.ask(this.#workers.alive(), "accept");
    await this.#inheritance.handshakes();
    this.#takingUp = this.#readyForPlans();
    this.#certificates.watch();
    this.#served.autoTls?.start();
    this.#reopen();
  }

  #readyForPlans(): TakingUp {
    return new TakingUp({
      served: this.#served,
      workers: this.#workers,
      listeners: this.#listeners,
      certificates: this.#certificates,
      accessLogs: this.#accessLogs,
      challenges: this.challenges,
      questions: this.#questions,
      warned: this.#warned,
      isRunning: () => this.#state === "running",
      openAutoTls: (plan) => this.#openAutoTls(plan),
    });
  }

  /** Opens every listener wherever it is missing: on workers that came up, and on one that takes over. */
  #reopen(): void {
    if (this.#takingUp !== null && this.#state === "running") this.#listeners.reopen();
  }

  async #workerReplaced(worker: WorkerHandle): Promise<void> {
    if (worker.kind === "gateway") this.challenges.tell(worker);
    if (this.#takingUp === null) return;
    this.#workers.brief(worker);
    await this.#listeners.openOn(worker);
    if (worker.alive && this.#state === "running") {
      this.#log.info({ worker: worker.index }, "worker is back");
    }
  }

  #handle(index: number, event: WorkerEvent): void {
    switch (event.type) {
      case "opened":
      case "open_failed":
      case "over":
        this.#listeners.answered(index, event);
        break;
      case "adopted":
        this.#pairs.adopted(event);
        break;
      case "pair_closed":
        this.#pairs.closed(event);
        break;
      case "hand_over":
        this.#handOvers.give(event.slot, event.fd);
        break;
      case "took": {
        // A `drained` that it told before this client reached it does not count: once it has served the client, it tells again.
        const taker = this.#workers.at(index);
        if (taker !== undefined) this.#drained.delete(taker);
        this.#handOvers.took(event.id);
        this.#listeners.forget();
        break;
      }
      case "answer":
        this.#questions.answered(event.id, event.sockets);
        break;
      case "drained": {
        const worker = this.#workers.at(index);
        if (worker !== undefined) this.#drained.add(worker);
        this.#checkDrained();
        break;
      }
      case "ended":
        this.#resetAtEnd += event.connections;
        break;
      case "refused":
        this.#refusals.add(event);
        break;
      case "certificate_wanted":
        this.wanted.ask(event.name);
        break;
      case "access_log":
        this.#accessLogs.write(event);
        break;
      case "warning":
        if (this.#warned.add(event.key, event.message)) logWorkerEvent(this.#log, null, event);
        break;
      case "target":
      case "last_resort":
      case "accept_paused":
        this.#chorus.add(index, event);
        break;
      default:
        logWorkerEvent(this.#log, { worker: index }, event);
    }
  }

  #workerGone(index: number, error: ProxyError | null, restarts: boolean): void {
    if (restarts) this.#workerRestarts++;
    this.#workers.loads.close(index);
    this.#watch.retire(index);
    this.#listeners?.retire(index);
    this.#handOvers.retire(index);
    this.#questions.retire(index);
    this.#pairs.retire(index, error);
    this.#checkDrained();
    this.#reopen();
  }

  /** Certificates are read; orders begin when listeners are open. */
  #openAutoTls(plan: AutoTlsPlan | null): Promise<AutoTls | null> {
    return AutoTls.open(plan, this, this.#log, () => this.#certificates.managedChanged());
  }

  async #drain(timeoutMs: number): Promise<void> {
    const drained = Promise.withResolvers<void>();
    this.#onDrained = drained.resolve;
    this.#workers.close();
    this.#listeners.close();
    for (const worker of this.#workers.alive()) worker.post({ type: "drain" });
    this.#checkDrained();
    const timer = setTimeout(drained.resolve, timeoutMs);
    await drained.promise;
    clearTimeout(timer);
  }

  #checkDrained(): void {
    if (this.#handOvers.pending > 0) return;
    if (this.#workers.alive().every((worker) => this.#drained.has(worker))) this.#onDrained?.();
  }

  async #end(): Promise<{ reset: number }> {
    await this.#served.autoTls?.stop();
    this.#listeners?.close();
    await this.#workers.end();
    this.#refusals.flush();
    this.#chorus.flush();
    await this.#accessLogs.close();
    this.#listeners?.stop();
    this.#certificates?.stop();
    this.#watch.stop();
    this.#state = "ended";
    return { reset: this.#resetAtEnd };
  }
}

export type { ListenerSummary, ProxyConnection, ProxyHealth, ProxyStats, SocketAddress };
