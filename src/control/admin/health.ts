// Whether the proxy lives and whether it is ready: what probes ask (/livez, /readyz). It lives while it and its workers
// answer; it is ready while clients are served as the configuration says. Called by answers.ts and by metrics.

import { ADMIN } from "../../shared/limits.ts";
import type { LogLevel } from "../../shared/plan.ts";
import type { EventRing } from "../event-ring.ts";
import type { Overload } from "../proxy-state.ts";
import type { Proxy } from "../proxy.ts";
import type { ReloadLog } from "../reload-log.ts";
import { type Answer, failure, json, type Question, text, wantsJson } from "./answer.ts";
import { targetsOf } from "./api/targets.ts";
import { leftOut } from "./left-out.ts";

/** What the admin listener tells of. */
export interface Subject {
  readonly phase: "starting" | "serving" | "draining";
  /** undefined: it has not started yet. */
  readonly proxy: Proxy | undefined;
  /** Why the configuration on disk is not what is served; null: it is. */
  readonly refusal: string | null;
  readonly reloads: Readonly<Reloads>;
  /** What the log tells, which the API may have changed. */
  readonly logLevel: LogLevel;
}

/** What the API tells of besides. */
export interface ApiSubject extends Subject {
  readonly history: ReloadLog;
  readonly events: EventRing;
}

export interface Reloads {
  taken: number;
  refused: number;
  /** Unix time: when the configuration that is served was taken up. */
  lastTakenMs: number;
}

export interface Readiness {
  /** Why it is not ready; none: it is. */
  readonly reasons: readonly string[];
  /** What is not as it should be, and keeps nobody from being served. */
  readonly warnings: readonly string[];
}

/** Asks workers, and each question once: a worker that hangs answers none, and must not be asked ever more. */
export class Pulse {
  readonly #subject: Subject;
  #asked: Promise<boolean> | null = null;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** Whether every worker answers within ADMIN.aliveMs. A proxy that still starts lives. */
  async isAlive(timeoutMs: number = ADMIN.aliveMs): Promise<boolean> {
    const { proxy } = this.#subject;
    if (proxy === undefined) return true;
    this.#asked ??= proxy.answers().finally(() => (this.#asked = null));
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), timeoutMs);
    const alive = await Promise.race([this.#asked, late.promise]);
    clearTimeout(timer);
    return alive;
  }
}

/**
 * @param servesOn a configuration that was not taken is a warning: it is served on as before, and whoever takes clients away
 * from what is not ready would take them away from every instance at once.
 */
export function readinessOf({ phase, proxy, refusal }: Subject, servesOn = false): Readiness {
  if (phase !== "serving" || proxy === undefined) return { reasons: [phase], warnings: [] };
  const closed = proxy.listeners().filter(({ workers }) => workers.length === 0);
  const reasons = closed.map(({ key }) => `listener ${key} is open on no worker`);
  const overloads = proxy.overloads();
  const told = ({ reason, detail }: Overload): string => `overloaded by ${reason}: ${detail}`;
  reasons.push(...overloads.filter(({ partial }) => !partial).map(told));
  const refused = refusal === null ? [] : [`the configuration was not taken: ${refusal}`];
  if (!servesOn) reasons.push(...refused);
  const warnings = proxy
    .certificates()
    .filter(({ state }) => state !== "valid")
    .map(({ names, state }) => `certificate of ${names.join(", ")} is ${state}`);
  for (const [key, targets] of proxy.targets()) {
    for (const { name, mode } of targets) {
      if (mode !== "enabled") warnings.push(`target ${name} of ${key} is ${mode}`);
    }
  }
  warnings.push(...overloads.filter(({ partial }) => partial).map(told));
  if (servesOn) warnings.push(...refused);
  return { reasons, warnings: [...new Set(warnings)] }; // a target may be that of several routes
}

export async function answerLive(question: Question, pulse: Pulse): Promise<Answer> {
  const alive = await pulse.isAlive();
  const [status, word] = alive ? [200, "alive"] : [503, "workers do not answer"];
  return wantsJson(question) ? json(status, { status: word }) : text(status, `${word}\n`);
}

/** Reasons name addresses and places in files: whoever shows no token where there is one is not told. */
export function answerReady(question: Question, subject: Subject): Answer {
  const excluded = question.query.getAll("exclude");
  if (excluded.some((each) => each !== "configuration")) {
    return failure(400, "exclude takes `configuration` alone");
  }
  const { reasons, warnings } = readinessOf(subject, excluded.length > 0);
  const ready = reasons.length === 0;
  const [status, word] = ready ? [200, "ready"] : [503, "not ready"];
  if (!question.trusted) {
    return wantsJson(question) ? json(status, { status: word }) : text(status, `${word}\n`);
  }
  const told = [...warnings, ...leftOut(targetsOf(subject.proxy))];
  if (wantsJson(question)) return json(status, { status: word, reasons, warnings: told });
  const lines = [...reasons, ...told.map((warning) => `warning: ${warning}`)];
  return text(status, `${[word, ...lines].join("\n")}\n`);
}
