// The way of requests through a listener's routes (passage.ts): compiled once in each worker, with a guide for each client's
// connection, which keeps what its requests have in common. Requests of one connection mostly ask the same host by the same
// route, so that is made once, and again only when something of it changes.
//
// TRACE is refused, since it shows a client what proxies have added; CONNECT, since this is no forward proxy.

import type { HttpRoutePlan } from "../../../shared/http-plan.ts";
import { HTTP_ROUTES } from "../../../shared/limits.ts";
import { countedRoutes, UNROUTED_PLACE } from "../../../shared/route-names.ts";
import type { ChallengeAnswers } from "../../challenge-answers.ts";
import { createErrorAnswer, redirectAnswer } from "../answers.ts";
import type { ClientConnection } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import type { RequestHead, ResponseHead, Version } from "../message/heads.ts";
import type { Filter, Guide, OwnAnswer, Route, Router, RouteRefusal } from "../passage.ts";
import { altSvcField } from "./alt-svc.ts";
import { FieldBlock } from "./block.ts";
import { markEarly, mayBeEarly } from "./early-data.ts";
import { http01Answer, keyAuthorizationFor } from "./http-01.ts";
import { Redirect } from "./redirect.ts";
import { maxForwards, RequestEdit, type Shared } from "./request-edit.ts";
import type { RequestIds } from "./request-id.ts";
import { ResponseEdit } from "./response-edit.ts";
import { BAD_PATH, NO_ROUTE, RouteTable, statusWithoutRoute } from "./table.ts";

const FIRST_OVER_QUIC = 30;

class CompiledRoute implements Route {
  readonly plan: HttpRoutePlan;
  readonly counted: number;
  readonly filters: readonly Filter[];
  readonly request: RequestEdit;
  readonly response: ResponseEdit;
  readonly redirect: Redirect | null;

  constructor(plan: HttpRoutePlan, counted: number, filters: readonly Filter[], ids: RequestIds) {
    this.plan = plan;
    this.counted = counted;
    this.filters = filters;
    this.request = new RequestEdit(plan, ids);
    this.response = new ResponseEdit(plan);
    this.redirect = plan.redirect === null ? null : new Redirect(plan.redirect);
  }
}

export interface RouterOptions {
  readonly routes: readonly HttpRoutePlan[];
  /** What stands between clients and exchanges of a route. */
  readonly filtersFor: (plan: HttpRoutePlan) => readonly Filter[];
  readonly ids: RequestIds;
  /** The time now, for Date. */
  readonly unixMs: () => number;
  /** For how long clients that come over TCP may remember that HTTP/3 is spoken here, too; 0: they are not told. */
  readonly altSvcSeconds: number;
  /** Asked before routes. */
  readonly challenges: ChallengeAnswers;
}

/** @throws ProxyError ERR_CONFIG for a route that cannot be compiled. */
export function createRouter(options: RouterOptions): Router {
  const { routes, filtersFor, ids } = options;
  const table = new RouteTable(routes);
  const names = countedRoutes(routes);
  const compiled = routes.map(
    (plan) => new CompiledRoute(plan, names.indexOf(plan.name), filtersFor(plan), ids),
  );
  // The answers of one that goes no further are made here, and need no target.
  const [first] = routes;
  const endHere =
    first === undefined
      ? null
      : new CompiledRoute({ ...first, group: null }, UNROUTED_PLACE, [], ids);
  return {
    guide: (connection) => new ConnectionGuide(table, compiled, endHere, connection, options),
  };
}

class ConnectionGuide implements Guide {
  readonly #table: RouteTable;
  readonly #routes: readonly CompiledRoute[];
  readonly #endHere: CompiledRoute | null;
  readonly #connection: ClientConnection;
  readonly #unixMs: () => number;
  readonly #altSvcSeconds: number;
  readonly #challenges: ChallengeAnswers;
  /** Of the last request: what the next one may use, if it is by the same route, for the same host, and of the same version. */
  #shared: Shared | null = null;
  #route: CompiledRoute | null = null;
  #version: Version = 11;
  #authority = new Uint8Array(0);
  #altSvc: FieldBlock | null = null;

  constructor(
    table: RouteTable,
    routes: readonly CompiledRoute[],
    endHere: CompiledRoute | null,
    connection: ClientConnection,
    { unixMs, altSvcSeconds, challenges }: RouterOptions,
  ) {
    this.#table = table;
    this.#routes = routes;
    this.#endHere = endHere;
    this.#connection = connection;
    this.#unixMs = unixMs;
    this.#altSvcSeconds = altSvcSeconds;
    this.#challenges = challenges;
  }

  route(head: RequestHead): Route | RouteRefusal {
    const { method } = head;
    if (this.#challenges.hasHttp && this.#endHere !== null && this.#isChallenge(head)) {
      return this.#endHere;
    }
    if (method === "TRACE" || method === "CONNECT") return 405;
    if (head.early && !mayBeEarly(head)) return 425;
    if (head.authorityEnd - head.authorityStart > HTTP_ROUTES.authorityMaxBytes) return 400;
    const found = this.#table.find(head);
    if (found === BAD_PATH) return 400;
    if (found === NO_ROUTE) return statusWithoutRoute(head, this.#connection);
    if (method === "OPTIONS" && this.#endHere !== null && maxForwards(head.fields) === 0) {
      return this.#endHere;
    }
    return this.#routes[found]!;
  }

  #isChallenge(head: RequestHead): boolean {
    return keyAuthorizationFor(head, this.#challenges) !== null;
  }

  answer(route: Route, head: RequestHead): OwnAnswer {
    const { redirect, response } = route as CompiledRoute;
    if (route === this.#endHere && head.method !== "OPTIONS") {
      const text = keyAuthorizationFor(head, this.#challenges) ?? "";
      return http01Answer(text, head, this.#unixMs());
    }
    const error = createErrorAnswer(this.#unixMs);
    if (route === this.#endHere || redirect === null) return error(204, head);
    const location = redirect.location(head, this.#connection);
    if (location === null) return error(400, head);
    const answer = redirectAnswer(redirect.status, location, head, this.#unixMs());
    response.applyToOwn(answer.head);
    return answer;
  }

  editRequest(route: Route, head: RequestHead): 400 | null {
    const compiled = route as CompiledRoute;
    let shared = this.#shared;
    if (shared === null || compiled !== this.#route || !this.#isSame(head)) {
      shared = compiled.request.share(this.#connection, head.authority, head.version);
      this.#shared = shared;
      this.#route = compiled;
      this.#version = head.version;
      this.#altSvc = this.#announces(head)
        ? new FieldBlock([altSvcField(head.authority, this.#altSvcSeconds)])
        : null;
      const { arena } = head.fields;
      this.#authority = arena.slice(head.authorityStart, head.authorityEnd);
    }
    if (!compiled.request.applyTo(head, this.#connection.trusted, shared)) return 400;
    if (head.early) markEarly(head);
    return null;
  }

  #announces({ version }: RequestHead): boolean {
    return this.#altSvcSeconds > 0 && version < FIRST_OVER_QUIC;
  }

  /** Whether it asks the host of the last request, in its version. */
  #isSame(head: RequestHead): boolean {
    const { authorityStart, authorityEnd, fields } = head;
    const last = this.#authority;
    if (head.version !== this.#version || authorityEnd - authorityStart !== last.length) {
      return false;
    }
    for (let i = 0; i < last.length; i++) {
      if (fields.arena[authorityStart + i] !== last[i]) return false;
    }
    return true;
  }

  editTrailers(route: Route, trailers: Fields): void {
    (route as CompiledRoute).request.clearTrailers(trailers);
  }

  editResponse(route: Route, head: ResponseHead): void {
    (route as CompiledRoute).response.applyTo(head, this.#altSvc);
  }
}
