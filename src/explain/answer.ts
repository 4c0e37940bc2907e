// What `explain` finds out, as plain data: for people (commands/explain-text.ts) and, as it is, for programs (JSON).

import type { ListenerPlan } from "../shared/plan.ts";

export interface Explanation {
  /** Every listener of the plan, in its order. */
  readonly listeners: readonly ListenerAnswer[];
  /** The one that it comes to; null: no listener is there. */
  readonly found: Found | null;
  /** Where nothing takes it: the listener that comes nearest, if there is any. */
  readonly nearest: string | null;
}

export interface ListenerAnswer {
  /** ListenerPlan.key. */
  readonly listener: string;
  /** `refuses`: it comes to this one, and is turned away. */
  readonly outcome: "takes" | "refuses" | "elsewhere";
  /** Of the last two. */
  readonly reason: string | null;
  /** `elsewhere`: how much is in the way, for what is nearest. */
  readonly distance: number;
}

/** The listener that it comes to, and what becomes of it there. */
export interface Found {
  readonly plan: ListenerPlan;
  /** What had to be supposed. */
  readonly notes: readonly string[];
  /** null: in clear, or it is not this proxy that speaks TLS. */
  readonly tls: TlsAnswer | null;
  readonly routes: readonly RouteAnswer[];
  /** Why nobody takes it, which `answer` tells a client of HTTP; null: it is forwarded, or answered as it should be. */
  readonly refused: string | null;
  /** Index of plan.groups; null: nobody gets it. */
  readonly group: number | null;
  /** The one of the group that this client gets while all are well; null: that depends on what happened before. */
  readonly target: string | null;
  /** What this proxy answers by itself. */
  readonly answer: OwnAnswer | null;
  /** What the target is sent. */
  readonly request: SentRequest | null;
}

/** What one kind of listener finds out by itself. */
export type Part = Omit<Found, "plan" | "target">;

/** Nobody takes it, and nothing is known of why. */
export const NOTHING: Part = {
  notes: [],
  tls: null,
  routes: [],
  refused: null,
  group: null,
  answer: null,
  request: null,
};

export interface TlsAnswer {
  /** Which certificate is shown, for people. */
  readonly certificate: string;
  /** Agreed upon; null: nothing. */
  readonly alpn: string | null;
}

export interface RouteAnswer {
  /** Index of plan.routes. */
  readonly index: number;
  readonly chosen: boolean;
  /** Why it is not the one; null for the one that is. */
  readonly reason: string | null;
}

export interface OwnAnswer {
  readonly status: number;
  readonly location: string | null;
}

export interface SentRequest {
  readonly method: string;
  readonly path: string;
  /** As fields: Host first. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}
