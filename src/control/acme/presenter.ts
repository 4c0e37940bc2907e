// What the solvers of http-01 and tls-alpn-01 have in common: an answer that listeners give while it is pending, and a listener
// that is opened for as long as any is, where none of the plan is where the authority will come to.
//
// Invariant: the temporary listener is open, or being opened, exactly while something is presented that needs it, except while
// the proxy opens listeners on its port: one that is the proxy's own answers from then on.

import type { ChallengeAnswer } from "../../shared/challenges.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import type { ListenerPlan, Plan } from "../../shared/plan.ts";
import type { ListenerSummary } from "../listener.ts";
import type { PendingAnswers, TemporaryHolder } from "./pending-answers.ts";
import type { ChallengeTask } from "./solver.ts";

/** A proxy, or whoever has answers and no listeners. */
export interface ChallengeHost {
  readonly challenges: PendingAnswers;
  readonly plan: Pick<Plan, "listeners">;
  listeners(): readonly ListenerSummary[];
  /** Whether a server of somebody else is there that asks `challenges` what to answer. */
  isMounted?(port: number): boolean;
}

export interface TemporaryListener {
  /** Settles when the port is free. */
  close(): Promise<void>;
}

export interface Place {
  /** Where the authority comes to. */
  readonly port: number;
  /** Whether this listener answers there. */
  serves(plan: ListenerPlan): boolean;
  /** Opens one that answers only this; rejects with an error that has an errno. */
  open(port: number, answers: PendingAnswers): Promise<TemporaryListener>;
  /** For people: what could be configured instead, and the key that says where something in front leads the port. */
  readonly listener: string;
  readonly option: string;
}

const PRIVILEGE =
  "give the program CAP_NET_BIND_SERVICE (setcap, or AmbientCapabilities of its service), ";

interface Presented {
  readonly answer: ChallengeAnswer;
  temporary: boolean;
}

export class Presenter implements TemporaryHolder {
  readonly #host: ChallengeHost;
  readonly #place: Place;
  readonly #presented = new Map<string, Presented>();
  #users = 0;
  #temporary: Promise<TemporaryListener> | null = null;
  /** Settles when whoever was made way for is there, or will not be. */
  #way: Promise<void> | null = null;

  constructor(host: ChallengeHost, place: Place) {
    this.#host = host;
    this.#place = place;
  }

  /** @throws ProxyError ERR_CHALLENGE, or the signal's reason. */
  async present(task: ChallengeTask, answer: ChallengeAnswer, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const presented = { answer, temporary: false };
    this.#presented.set(nameOf(task), presented);
    if (!this.#isServed()) {
      presented.temporary = true;
      await unlessAborted(this.#enter(task), signal);
    }
    await unlessAborted(this.#host.challenges.add(answer), signal);
  }

  withdraw(task: ChallengeTask): void {
    const presented = this.#presented.get(nameOf(task));
    if (presented === undefined) return;
    this.#presented.delete(nameOf(task));
    this.#host.challenges.remove(presented.answer);
    if (presented.temporary) this.#leave();
  }

  /** By a listener of the proxy, whatever its address: on one that no authority reaches, something in front will forward. */
  #isServed(): boolean {
    if (this.#host.isMounted?.(this.#place.port) === true) return true;
    return this.#listenersThere().some((plan) => this.#place.serves(plan));
  }

  /** A server in front that has the port may lead to it: only the authority can tell. */
  #hasUnixListener(): boolean {
    const { listeners } = this.#host.plan;
    return listeners.some((plan) => plan.listen.kind === "unix" && this.#place.serves(plan));
  }

  #listenersThere(): ListenerPlan[] {
    const { port } = this.#place;
    const keys = this.#host
      .listeners()
      .filter(({ bound }) => bound.some((at) => at.kind === "ip" && at.port === port))
      .map(({ key }) => key);
    return this.#host.plan.listeners.filter(({ key }) => keys.includes(key));
  }

  async #enter(task: ChallengeTask): Promise<void> {
    this.#users++;
    this.#host.challenges.enter(this);
    await this.#way;
    if (this.#isServed() || this.#users === 0) return;
    const { port } = this.#place;
    this.#temporary ??= this.#place.open(port, this.#host.challenges);
    try {
      await this.#temporary;
    } catch (error) {
      if (errnoOf(error) === "EADDRINUSE" && this.#hasUnixListener()) return;
      throw this.#cannotListen(task, error);
    }
  }

  /** One that could not be opened is tried again by the next who needs it. */
  #leave(): void {
    if (--this.#users > 0) return;
    this.#host.challenges.leave(this);
    void this.#close();
  }

  async #close(): Promise<void> {
    const temporary = this.#temporary;
    this.#temporary = null;
    await temporary?.then(
      (listener) => listener.close(),
      () => {}, // whoever waited for it was told
    );
  }

  async makeWay(ports: ReadonlySet<number>): Promise<Disposable> {
    if (this.#temporary === null || !ports.has(this.#place.port)) return { [Symbol.dispose]() {} };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#way = promise;
    await this.#close();
    return {
      [Symbol.dispose]: () => {
        this.#way = null;
        resolve();
        if (this.#users > 0 && !this.#isServed()) this.#openAgain();
      },
    };
  }

  /** Nobody waits for it: of a port that another has now, the authority will tell. */
  #openAgain(): void {
    const again = this.#place.open(this.#place.port, this.#host.challenges);
    this.#temporary = again;
    again.catch(() => {
      if (this.#temporary === again) this.#temporary = null;
    });
  }

  #cannotListen({ domain }: ChallengeTask, error: unknown): ProxyError {
    const { port, listener, option } = this.#place;
    const errno = errnoOf(error);
    const own = this.#listenersThere().find(({ protocol }) => protocol !== "udp");
    const reasons: Readonly<Record<string, string>> = {
      EACCES: "permission denied (EACCES)",
      EADDRINUSE: `${own === undefined ? "another program" : `"${own.key}"`} listens there (EADDRINUSE)`,
    };
    const reason = reasons[errno] ?? messageOf(error);
    const further: Readonly<Record<string, string>> = {
      EACCES: PRIVILEGE,
      EADDRINUSE: `say where that one leads it (${option}), `,
    };
    const problem = `${domain}: no listener answers on port ${port}, and none can be opened for the challenge: ${reason}`;
    throw new ProxyError("ERR_CHALLENGE", problem, {
      cause: error,
      cure: `Configure ${listener} on :${port}, ${further[errno] ?? ""}or use another challenge`,
    });
  }
}

/** Of a task among those that are pending. */
export function nameOf({ domain, token }: ChallengeTask): string {
  return `${domain} ${token}`;
}

/** @throws the signal's reason. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
