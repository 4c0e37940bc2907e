// From a plan and a question to an answer: which listener takes it, where it goes from there, and why the others do not. Nothing
// is opened and nobody is asked. Where a decision is made by engines and gateways, their own code makes it here, too; this
// room is therefore the only one besides them that may import it. Called by `proxy explain`.

import { isIP } from "node:net";

import { Balancer } from "../l4/balance/balancer.ts";
import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import { isHttpPlan } from "../shared/http-plan.ts";
import type { ListenerPlan, Plan } from "../shared/plan.ts";
import type { Explanation, Found, ListenerAnswer } from "./answer.ts";
import type { CertificateFiles } from "./certificate.ts";
import { ipOf } from "./client.ts";
import { explainHttp } from "./http.ts";
import { type Standing, standingOf } from "./places.ts";
import type { Question } from "./question.ts";
import { explainStream } from "./streams.ts";

/** What an answer depends on besides the listener. */
export interface Context {
  readonly question: Question;
  readonly files: CertificateFiles;
  readonly autoTls: AutoTlsPlan | null;
}

export function explain(
  { listeners, autoTls }: Pick<Plan, "listeners" | "autoTls">,
  question: Question,
  files: CertificateFiles,
): Explanation {
  const standings = listeners.map((plan) => standingOf(plan, question));
  const best = firstOf(standings);
  if (best === null) {
    const answers = listeners.map((plan, i) => elsewhere(plan, standings[i]!));
    return { listeners: answers, found: null, nearest: nearestOf(answers) };
  }
  const plan = listeners[best]!;
  const found = finish(plan, { question, files, autoTls }, standings[best]!);
  const answers = listeners.map((other, i): ListenerAnswer => {
    const { key } = other;
    if (i !== best) return elsewhere(other, standings[i]!);
    const { refused } = found;
    const outcome = refused === null ? "takes" : "refuses";
    return { listener: key, outcome, reason: refused, distance: 0 };
  });
  return { listeners: answers, found, nearest: found.refused === null ? null : plan.key };
}

/** @returns the likeliest listener; null: nothing listens there. */
function firstOf(standings: readonly Standing[]): number | null {
  let best: number | null = null;
  let least = Infinity;
  standings.forEach((standing, i) => {
    if (standing.type !== "here" || standing.rank >= least) return;
    best = i;
    least = standing.rank;
  });
  return best;
}

function elsewhere({ key }: ListenerPlan, standing: Standing): ListenerAnswer {
  const { reason, distance } =
    standing.type === "elsewhere"
      ? standing
      : { reason: "another listener is likelier: -address says which is meant", distance: 1 };
  return { listener: key, outcome: "elsewhere", reason, distance };
}

function nearestOf(answers: readonly ListenerAnswer[]): string | null {
  const [nearest] = answers.toSorted((a, b) => a.distance - b.distance);
  return nearest?.listener ?? null;
}

function finish(plan: ListenerPlan, context: Context, standing: Standing): Found {
  const part = isHttpPlan(plan) ? explainHttp(plan, context) : explainStream(plan, context);
  const supposed = standing.type === "here" ? standing.supposed : null;
  const notes = [...(supposed === null ? [] : [supposed]), ...part.notes];
  return { plan, ...part, notes, target: targetOf(plan, part.group, context.question) };
}

/** A name may have several addresses, each of which is a target of its own for the hash. */
function isNumeric(endpoint: Endpoint): boolean {
  return endpoint.kind === "unix" || isIP(endpoint.host) !== 0;
}

/** The balancer of workers, before anything happened: it depends on that unless the client alone decides. */
function targetOf(plan: ListenerPlan, group: number | null, question: Question): string | null {
  const found = group === null ? undefined : plan.groups[group];
  if (found === undefined) return null;
  const { targets, balance } = found;
  const primary = targets.filter(({ backup }) => !backup);
  const only = primary.length === 1 || (primary.length === 0 && targets.length === 1);
  const isByClient =
    balance === "source_hash" && targets.every(({ endpoint }) => isNumeric(endpoint));
  if (!only && !isByClient) return null;
  const balanced = targets.map(({ endpoint, weight, backup }) => {
    return { name: formatEndpoint(endpoint), weight, backup };
  });
  const balancer = new Balancer(balanced, balance, {
    active: new Int32Array(targets.length),
    random: () => 0,
    skip: 0,
  });
  const usable = new Uint8Array(targets.length).fill(1);
  return balanced[balancer.pick(usable, null, ipOf(question))]?.name ?? null;
}
