// One listener over all workers: where it is bound, what its target resolves to, and its counters. Workers come and go;
// the address, once bound, stays the same, and what a worker counted outlives it. Invariant: one worker at a time is
// opening it, so whoever opens sees what the others hold. Called by the proxy.

import { closeSync } from "node:fs";

import { bucketMemory } from "../l4/token-buckets.ts";
import { formatEndpoint, formatSocketAddress, type SocketAddress } from "../shared/address.ts";
import type { ListenerStats } from "../shared/counters.ts";
import { fromErrorRecord, messageOf, ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { OpenRequest, WorkerEvent, WorkerKind } from "../shared/messages.ts";
import { formatTargets, type ListenerPlan } from "../shared/plan.ts";
import { Admissions } from "./admissions.ts";
import { backoffMs, pause } from "./backoff.ts";
import type { CertificateSource } from "./certificates/certificates.ts";
import { HealthChecks } from "./health-checks.ts";
import { type Inheritance, portionOf, type Share as Inherited } from "./inheritance.ts";
import { isOnSamePort } from "./listen-places.ts";
import { ListenerCounts } from "./listener-counts.ts";
import { AddressWatch, type Lookup, resolveOnce } from "./resolver.ts";
import { SocketFile } from "./socket-file.ts";
import { TargetDirectory } from "./targets.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface ListenerSummary {
  readonly key: string;
  /** With the ports that the system chose; stays the same while workers are replaced. */
  readonly bound: readonly SocketAddress[];
  /** The workers that accept on it at this moment, by index. Where an address cannot be shared, one accepts for all. */
  readonly workers: readonly number[];
}

const NEW_ADDRESSES = "mirror has new addresses";

/** What listeners are made with. */
export interface ListenerOptions {
  /** Several workers serve one address. */
  readonly reusePort: boolean;
  readonly log: Log;
  readonly lookup: Lookup;
  readonly certificates: CertificateSource;
}

/** How a listener is opened for the first time. */
interface Start extends Pick<Inherited, "fds" | "once" | "beside"> {
  readonly binds: readonly SocketAddress[];
  readonly quiet: boolean;
  readonly replaces: OpenRequest["replaces"];
}

type Answer = WorkerEvent & { type: "opened" | "open_failed" };

/** What one worker holds of this listener. */
interface Share {
  readonly worker: WorkerHandle;
  readonly counters: SharedArrayBuffer;
  /** The worker has answered that it is open. */
  open: boolean;
}

export class Listener {
  readonly plan: ListenerPlan;
  readonly slot: number;
  readonly targets: TargetDirectory;
  #reusePort: boolean;
  readonly #log: Log;
  readonly #lookup: Lookup;
  readonly #certificates: CertificateSource;
  readonly #health: HealthChecks;
  #mirror: AddressWatch | undefined;
  /** Who has the listener's QUIC, and whoever replaces it: by index. */
  #endpointWorker = -1;
  readonly #shares = new Map<number, Share>();
  readonly #answers = new Map<number, (answer: Answer) => void>();
  /** One Int32: connections open over all workers, with those of the listener that this one replaced. */
  readonly #active: SharedArrayBuffer;
  readonly #admissions: Admissions;
  /** What is left of the bandwidth, of all workers together. */
  readonly #bandwidth: SharedArrayBuffer | null;
  readonly #counts: ListenerCounts;
  #bound: readonly SocketAddress[] = [];
  /** Sockets that it did not bind itself. */
  #inherited = 0;
  /** Settles when nobody opens it. */
  #turn: Promise<void> = Promise.resolve();
  readonly #keeping = new Map<WorkerHandle, Promise<void>>();
  readonly #closing = new AbortController();
  /** Duplicates of listening descriptors that cannot be bound twice: they outlive the worker that bound them. */
  #fds: readonly number[] = [];
  /** A worker was told to open it and has not answered yet: it may still be reading from `#fds`. */
  #opening = false;
  readonly #socketFile: SocketFile;

  /** @param before the one that this one replaces: limits go on with what it has counted. */
  constructor(slot: number, plan: ListenerPlan, options: ListenerOptions, before?: Listener) {
    const { reusePort, log, lookup, certificates } = options;
    this.plan = plan;
    this.slot = slot;
    this.#socketFile = new SocketFile(plan.listen);
    this.#certificates = certificates;
    // One endpoint has all packets of a QUIC connection: the system would spread them by the address they come from.
    const shares = plan.listen.kind === "tcp" && plan.protocol !== "quic";
    this.#reusePort = reusePort && shares;
    this.#log = log;
    this.#lookup = lookup;
    this.#active = before === undefined ? new SharedArrayBuffer(4) : before.#active;
    this.#admissions = new Admissions(plan, before && before.#admissions);
    this.targets = new TargetDirectory(
      plan,
      log,
      lookup,
      () => this.#targetsChanged(),
      before && before.targets,
    );
    this.#health = new HealthChecks(
      plan,
      log,
      () => certificates.of(plan.key),
      (target, up) => this.targets.probed(target, up),
    );
    this.#counts = new ListenerCounts(plan, this.targets.capacity);
    const limited = "bytesPerSecond" in plan.limits && plan.limits.bytesPerSecond > 0;
    const bucket = before === undefined ? null : before.#bandwidth;
    this.#bandwidth = limited ? (bucket ?? new SharedArrayBuffer(bucketMemory(1))) : null;
  }

  /** Which workers it is opened on. */
  get workerKind(): WorkerKind {
    return kindFor(this.plan);
  }

  /** The worker that has its QUIC, if it has any; -1: none. */
  get endpointWorker(): number {
    return this.#reusePort ? this.#endpointWorker : (this.openWorkers()[0]?.index ?? -1);
  }

  /**
   * Opens on the first worker, which makes sure that the address is free, then on the others. What is inherited is spread
   * over them instead of bound.
   * @param leaving listeners of this process that this one and others replace.
   * @throws ProxyError
   */
  async start(
    workers: readonly WorkerHandle[],
    inheritance: Inheritance,
    leaving: readonly Listener[] = [],
  ): Promise<void> {
    const handed = inheritance.wishesOf(this.plan.key);
    if (handed.length > 0) this.targets.takeWishes(handed);
    await Promise.all([this.targets.start(), this.#watchMirror()]);
    const binds = await resolveOnce(this.plan.listen, this.#lookup);
    const isUdp = this.plan.protocol === "udp" || this.plan.protocol === "quic";
    const inherited = inheritance.take(this.plan.key, binds, isUdp);
    // Two readers of one socket would each get a part of every session.
    if (isUdp && inherited.once) this.#reusePort = false;
    const { quiet, fromProcess } = inheritance;
    const replaces = fromProcess ? "process" : leaving.map(({ slot }) => slot);
    // What is taken over stays in its worker.
    const holder = leaving.find(({ plan }) => isOnSamePort(plan, this.plan))?.endpointWorker;
    const isFirst = ({ index }: WorkerHandle): number => (index === holder ? 0 : 1);
    const ordered = workers.toSorted((a, b) => isFirst(a) - isFirst(b));
    await this.#openOnEach(ordered, inherited, { ...inherited, binds, quiet, replaces });
    if (this.#bound.length === 0) throw new ProxyError("ERR_WORKER", "no worker is running");
    this.#health.update(this.targets.slots());
    this.#inherited = inherited.fds.flat().length;
  }

  /** A worker that crashes meanwhile is left out, and gets it when it is back, if another is there. */
  async #openOnEach(
    workers: readonly WorkerHandle[],
    inherited: Inherited,
    start: Omit<Start, "fds">,
  ): Promise<void> {
    const left = [...workers];
    for (let i = 0; i < left.length;) {
      this.#endpointWorker = left[0]!.index;
      const order = left.map(({ index }) => index);
      try {
        await this.#openInTurn(left[i]!, { ...start, fds: portionOf(inherited, i, order) });
        i++;
      } catch (error) {
        if (left[i]!.alive || left.length === 1) throw error;
        left.splice(i, 1);
      }
    }
  }

  /** To the log: it is the current one of its key. */
  tellOpen(): void {
    const target = formatTargets(this.plan);
    const inherited = this.#inherited;
    this.#log.info(
      {
        protocol: this.plan.protocol === "link" ? "tcp" : this.plan.protocol,
        listen: this.#bound.map(formatSocketAddress).join(", "),
        ...(target === "" ? {} : { target }),
        ...(inherited > 0 ? { inherited } : {}),
      },
      "listening",
    );
  }

  /**
   * Opens on a worker that came up later, or that is to take over. Tries again, ever more slowly, for as long as the worker
   * lives and the listener is not closed; settles then, or when it is open, and never rejects.
   */
  keepOpenOn(worker: WorkerHandle): Promise<void> {
    let keeping = this.#keeping.get(worker);
    if (keeping === undefined) {
      keeping = this.#keepOpen(worker).finally(() => this.#keeping.delete(worker));
      this.#keeping.set(worker, keeping);
    }
    return keeping;
  }

  async #keepOpen(worker: WorkerHandle): Promise<void> {
    const about = { listener: this.plan.key, worker: worker.index };
    for (let failures = 1; this.#isWantedOn(worker); failures++) {
      try {
        await this.#openInTurn(worker);
        if (failures > 1 && this.#shares.has(worker.index)) {
          this.#log.info(about, "listener is open again");
        }
        return;
      } catch (error) {
        if (!this.#isWantedOn(worker)) return; // whoever replaces the worker opens it
        const retryMs = backoffMs(failures);
        this.#log.error(
          { ...about, error: messageOf(error), retryMs },
          "listener cannot be opened again, trying on",
        );
        await pause(retryMs, this.#closing.signal);
      }
    }
  }

  #isWantedOn(worker: WorkerHandle): boolean {
    return worker.alive && !this.#closing.signal.aborted;
  }

  #openInTurn(worker: WorkerHandle, start?: Start): Promise<void> {
    const opened = this.#turn.then(() => this.#open(worker, start));
    this.#turn = opened.catch(() => {}); // the caller hears of it
    return opened;
  }

  /** @throws ProxyError ERR_LISTEN, ERR_RESOLVE or ERR_WORKER. */
  async #open(worker: WorkerHandle, start?: Start): Promise<void> {
    if (!this.#isWantedOn(worker) || this.#shares.get(worker.index)?.worker === worker) return;
    const others = [...this.#shares.values()].filter((share) => share.worker.alive);
    const sharedFds = this.#fds;
    const shareable = this.#reusePort || sharedFds.length > 0;
    if (others.length > 0 && !shareable) return; // one acceptor, and it is alive
    const first = this.#bound.length === 0;
    const binds = first
      ? (start?.binds ?? (await resolveOnce(this.plan.listen, this.#lookup)))
      : this.#bound;
    const share: Share = { worker, counters: this.#counts.create(), open: false };
    this.#shares.set(worker.index, share);
    const opened = await this.#ask(worker, {
      listener: this.plan,
      slot: this.slot,
      binds,
      targets: this.targets.slots(),
      mirror: this.#mirror?.current ?? [],
      targetSlots: this.targets.capacity,
      counters: share.counters,
      active: this.#active,
      clients: this.#admissions.clients,
      accepts: this.#admissions.accepts,
      bandwidth: this.#bandwidth,
      certificates: this.#certificates.of(this.plan.key),
      reusePort: this.#reusePort,
      exclusive: others.length === 0,
      beside: start?.beside ?? false,
      // Where one worker accepts for all, whoever does has it.
      endpoint: !this.#reusePort || worker.index === this.#endpointWorker,
      sharedFds,
      inherited: start?.fds ?? [],
      keep: start?.once ?? false,
      quiet: start?.quiet ?? false,
      replaces: start?.replaces ?? [],
    });
    if (opened === null || opened instanceof ProxyError) {
      throw opened ?? new ProxyError("ERR_CLOSED", "the proxy ended");
    }
    if (opened.type === "open_failed") {
      this.#shares.delete(worker.index);
      throw fromErrorRecord(opened.error);
    }
    share.open = true;
    if (first) this.#bound = opened.bound;
    if (sharedFds.length === 0) this.#socketFile.note();
  }

  /** @returns the worker's answer; if it ended instead, what its `exited` says. */
  async #ask(worker: WorkerHandle, request: OpenRequest): Promise<Answer | ProxyError | null> {
    const answer = Promise.withResolvers<Answer>();
    this.#answers.set(worker.index, answer.resolve);
    this.#opening = true;
    worker.post({ type: "open", request });
    const answered = await Promise.race([answer.promise, worker.exited]);
    this.#answers.delete(worker.index);
    this.#opening = false;
    if (this.#closing.signal.aborted) this.#releaseFds();
    return answered;
  }

  answered(worker: number, answer: Answer): void {
    if (answer.type === "opened" && answer.fds.length > 0) {
      this.#releaseFds();
      this.#fds = answer.fds;
    }
    this.#answers.get(worker)?.(answer);
  }

  /** A worker is gone: what it counted stays, what it held open is not open any more. */
  retire(worker: number): void {
    const share = this.#shares.get(worker);
    if (share === undefined) return;
    this.#shares.delete(worker);
    this.#admissions.retire(share.worker.live, this.slot);
    Atomics.sub(new Int32Array(this.#active), 0, this.#counts.retire(share.counters));
  }

  /** The workers that it was opened on. */
  openWorkers(): WorkerHandle[] {
    const open = [...this.#shares.values()].filter((share) => share.open && share.worker.alive);
    return open.map((share) => share.worker);
  }

  summary(): ListenerSummary {
    const workers = this.openWorkers()
      .map(({ index }) => index)
      .toSorted((a, b) => a - b);
    return { key: this.plan.key, bound: this.#bound, workers };
  }

  stats(): ListenerStats {
    const counters = [...this.#shares.values()].map((share) => share.counters);
    return this.#counts.sum(counters, this.targets.places());
  }

  /**
   * Clients arrive at its successor from here on, which has the same sockets; those that are here stay. Nothing of it is watched
   * any more, since nobody else comes.
   * @param isReplaced false: it has no successor, and its address becomes free.
   */
  retireFor(isReplaced: boolean): void {
    if (isReplaced) this.handOn();
    for (const { worker } of this.#shares.values()) {
      worker.post({ type: "close", slot: this.slot });
    }
    this.stop();
  }

  /** Another listener of this process has its sockets. */
  handOn(): void {
    this.leaveFile();
    for (const { worker } of this.#shares.values()) {
      if (worker.kind === "gateway") worker.post({ type: "hand_on", slots: [this.slot] });
    }
  }

  /** It was closed, and nobody is left: workers keep nothing of it. */
  forget(): void {
    for (const { worker } of this.#shares.values())
      worker.post({ type: "forget", slot: this.slot });
  }

  /** Another process accepts on the same sockets: a socket file stays when this one ends. */
  leaveFile(): void {
    this.#socketFile.leave();
  }

  /** Opens it on no worker any more. Workers close what they hold when they drain or end. */
  close(): void {
    this.#closing.abort();
    if (!this.#opening) this.#releaseFds();
  }

  #releaseFds(): void {
    for (const fd of this.#fds) closeSync(fd);
    this.#fds = [];
  }

  /** After the workers are gone: stops watching names and removes the socket file, if it still is ours. */
  stop(): void {
    this.close();
    this.targets.stop();
    this.#health.stop();
    this.#mirror?.stop();
    this.#socketFile.remove();
  }

  async #watchMirror(): Promise<void> {
    const { key } = this.plan;
    const mirror = this.plan.protocol === "tcp" ? this.plan.mirror : null;
    if (mirror === null) return;
    const about = { listener: key, mirror: formatEndpoint(mirror) };
    this.#mirror = await AddressWatch.start(mirror, {
      changed: (addresses) => {
        this.#log.info({ ...about, addresses: addresses.map(formatSocketAddress) }, NEW_ADDRESSES);
        for (const { worker } of this.#shares.values()) {
          worker.post({ type: "mirror", slot: this.slot, addresses });
        }
      },
      log: this.#log,
      about,
      lookup: this.#lookup,
      what: "mirror",
    });
  }

  #targetsChanged(): void {
    const targets = this.targets.slots();
    this.#health.update(targets);
    for (const { worker } of this.#shares.values()) {
      worker.post({ type: "targets", slot: this.slot, targets });
    }
  }

  /** Files have changed: for new handshakes. */
  certificatesChanged(): void {
    const certificates = this.#certificates.of(this.plan.key);
    if (certificates === null) return;
    for (const { worker } of this.#shares.values()) {
      worker.post({ type: "certificates", slot: this.slot, certificates });
    }
  }
}

/** Raw streams are the engines'; whatever is parsed, or is no stream, is the gateway's. */
export function kindFor({ protocol }: ListenerPlan): WorkerKind {
  return protocol === "tcp" ? "relay" : "gateway";
}
