// How a running proxy takes up another plan: everything that may fail is made ready first, then all of it changes at once. Called
// by the proxy for a reload.
//
// Invariant: until `commit` nothing has changed for anybody, and after it nothing fails any more.

import { isDeepStrictEqual } from "node:util";

import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import { ProxyError } from "../shared/errors.ts";
import type { ListenerPlan, Plan } from "../shared/plan.ts";
import type { AccessLogs } from "./access-logs.ts";
import type { PendingAnswers } from "./acme/pending-answers.ts";
import type { AutoTls } from "./auto-tls.ts";
import type { Certificates } from "./certificates/certificates.ts";
import { diffPlans, type PlanDiff } from "./diff.ts";
import { type HeldSocket, Inheritance } from "./inheritance.ts";
import type { Listeners, Takeover } from "./listeners.ts";
import type { Questions } from "./questions.ts";
import type { Warned } from "./warned.ts";
import type { Workers } from "./workers.ts";

/** What is exchanged as a whole. */
export interface Served {
  plan: Plan;
  autoTls: AutoTls | null;
}

/** Of a proxy whose listeners are open. */
export interface TakingUpParts {
  readonly served: Served;
  readonly workers: Workers;
  readonly listeners: Listeners;
  readonly certificates: Certificates;
  readonly accessLogs: AccessLogs;
  readonly challenges: PendingAnswers;
  readonly questions: Questions;
  readonly warned: Warned;
  /** False as soon as the proxy drains or ends. */
  readonly isRunning: () => boolean;
  readonly openAutoTls: (plan: AutoTlsPlan | null) => Promise<AutoTls | null>;
}

export class TakingUp {
  readonly #parts: TakingUpParts;
  #busy = false;

  constructor(parts: TakingUpParts) {
    this.#parts = parts;
  }

  /** @throws ProxyError as `Proxy.reload`. */
  async take(wanted: Plan): Promise<PlanDiff> {
    if (this.#busy) throw new ProxyError("ERR_STATE", "another reload is under way");
    this.#busy = true;
    try {
      return await this.#take(wanted);
    } finally {
      this.#busy = false;
    }
  }

  async #take(wanted: Plan): Promise<PlanDiff> {
    const { served, workers, listeners, certificates, accessLogs, isRunning, openAutoTls } =
      this.#parts;
    const diff = diffPlans(served.plan, wanted);
    const { engine, workers: count, ring } = served.plan;
    const plan = { ...wanted, engine, workers: count, ring };
    const isSame = isDeepStrictEqual(plan.autoTls, served.plan.autoTls);
    const autoTls = isSame ? served.autoTls : await openAutoTls(plan.autoTls);
    const shown = certificates.prepare(plan.listeners, autoTls);
    const logs = accessLogs.prepare(plan.listeners);
    try {
      await this.#exchange(plan, diff, shown, logs);
    } catch (error) {
      logs.abandon();
      throw error;
    }
    if (isRunning()) listeners.reopen(); // on workers that came up meanwhile
    workers.trace(plan.log.level === "debug");
    if (!isSame) await this.#exchangeAutoTls(autoTls);
    return diff;
  }

  async #exchange(
    plan: Plan,
    diff: PlanDiff,
    certificates: ReturnType<Certificates["prepare"]>,
    logs: ReturnType<AccessLogs["prepare"]>,
  ): Promise<void> {
    const { served, workers, challenges, questions, warned } = this.#parts;
    await workers.start(plan.listeners);
    for (const worker of workers.alive("gateway")) challenges.tell(worker);
    const leaving = [...diff.changed.map(({ before }) => before), ...diff.removed];
    for (const { key } of [...leaving, ...diff.added]) warned.forget(key);
    const isTouched = leaving.length + diff.added.length > 0;
    const sockets = isTouched ? await this.#sockets() : [];
    // One that was opened for a challenge may be on a port of theirs, whose answers they give, too.
    using _way = await challenges.makeWay(tcpPorts(diff.added));
    using inheritance = Inheritance.within(sockets, [...leaving, ...diff.added]);
    const next = await this.#prepare(plan.listeners, diff, inheritance, certificates);
    served.plan = plan;
    certificates.commit();
    logs.commit();
    await questions.ask(workers.alive(), "accept");
    await inheritance.handshakes();
    next.commit();
    await questions.ask(workers.alive(), "alive"); // what was posted has been read
    next.settle();
  }

  /** @throws ProxyError when nothing is open any more of what it had opened: whoever has the address next finds it free. */
  async #prepare(...what: Parameters<Listeners["prepare"]>): Promise<Takeover> {
    const { workers, listeners, questions, isRunning } = this.#parts;
    try {
      const next = await listeners.prepare(...what);
      if (isRunning()) return next;
      next.abandon();
      throw new ProxyError("ERR_STATE", "the proxy is ending");
    } catch (error) {
      await questions.ask(workers.alive(), "alive"); // what was posted has been read
      throw error;
    }
  }

  /** Duplicates of all that there are. */
  async #sockets(): Promise<HeldSocket[]> {
    const { workers, questions } = this.#parts;
    const asked = workers.alive();
    const answers = await questions.ask(asked, "sockets");
    return answers.flatMap((sockets, i) =>
      (sockets ?? []).map((socket) => ({ ...socket, worker: asked[i]!.index })),
    );
  }

  async #exchangeAutoTls(next: AutoTls | null): Promise<void> {
    const { served, certificates, isRunning } = this.#parts;
    const before = served.autoTls;
    served.autoTls = next;
    certificates.managedChanged();
    await before?.stop();
    if (isRunning()) next?.start();
  }
}

function tcpPorts(plans: readonly ListenerPlan[]): Set<number> {
  const ports = new Set<number>();
  for (const { listen, protocol } of plans) {
    if (listen.kind === "tcp" && protocol !== "udp" && protocol !== "quic") ports.add(listen.port);
  }
  return ports;
}
