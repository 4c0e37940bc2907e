// What becomes of a request at a listener of HTTP. The guide that shows requests their way in gateway workers is asked the same
// here, and edits the head, so that what is told is what a target would be sent. Why a route does not fit is asked of a table
// with one of its conditions alone. Without sockets and clocks. Called by explain.ts.

import { AddressSet } from "../l4/address-set.ts";
import { entranceOf } from "../protocols/admission.ts";
import { ChallengeAnswers } from "../protocols/challenge-answers.ts";
import type { ClientConnection } from "../protocols/http/exchange.ts";
import { filtersOf } from "../protocols/http/filter/filters.ts";
import { RequestHead } from "../protocols/http/message/heads.ts";
import type { Guide, Route } from "../protocols/http/passage.ts";
import { createRouter } from "../protocols/http/route/guide.ts";
import { RequestIds } from "../protocols/http/route/request-id.ts";
import { BAD_PATH, NO_ROUTE, RouteTable } from "../protocols/http/route/table.ts";
import type { HttpMatchPlan, HttpPlan, HttpRoutePlan } from "../shared/http-plan.ts";
import {
  NOTHING,
  type OwnAnswer,
  type Part,
  type RouteAnswer,
  type SentRequest,
} from "./answer.ts";
import { certificateFor } from "./certificate.ts";
import {
  type Agreement,
  agreementOf,
  CLIENT_PORT,
  clientNotes,
  introductionNote,
  ipOf,
  refusalAtEntrance,
} from "./client.ts";
import type { Context } from "./explain.ts";
import { authorityOf, isRequest, isSecure, type Question } from "./question.ts";

const ANY: HttpMatchPlan = { host: null, path: null, methods: null, headers: [] };
const ID_RANDOM_BYTES = 18;
/** What an id begins with that is made of no random bytes. */
const NO_CHANCE = "0".repeat(20);

export function explainHttp(plan: HttpPlan, context: Context): Part {
  const { question, files, autoTls } = context;
  const entrance = entranceOf({ listener: plan, clients: null, accepts: null });
  const notes = [...introductionNote(entrance, question), ...clientNotes(plan.tls)];
  const refused = refusalAtEntrance(entrance, plan.access, question) ?? wrongScheme(plan, question);
  if (refused !== null) return { ...NOTHING, notes, refused };
  const agreed = versionOf(plan, question);
  if ("refused" in agreed) return { ...NOTHING, notes, ...agreed };
  const { alpn } = agreed;
  const tls =
    plan.tls === null
      ? null
      : { certificate: certificateFor(plan.tls, question.sni, files, autoTls), alpn };
  const head = headOf(question, alpn);
  return { ...NOTHING, notes, tls, ...wayOf(plan, question, head, alpn) };
}

function wrongScheme({ tls, protocol }: HttpPlan, question: Question): string | null {
  const { scheme } = question;
  if (!isRequest(question)) {
    const fitting = scheme === "udp" || scheme === "quic" ? "h3" : tls === null ? "http" : "https";
    return `it answers requests, and ${scheme}:// is none. Ask for ${fitting}://`;
  }
  if (tls === null && isSecure(question))
    return `${protocol} is in clear here: it has no certificate`;
  if (tls !== null && !isSecure(question)) return "it speaks TLS, and http:// is in clear";
  return null;
}

function versionOf({ tls }: HttpPlan, question: Question): Agreement {
  if (tls === null) return { alpn: null };
  return agreementOf(
    question.scheme === "h3" ? ["h3"] : tls.alpn,
    question,
    question.scheme === "h3",
  );
}

/** The head as a codec would hand it over. */
function headOf(question: Question, alpn: string | null): RequestHead {
  const head = new RequestHead();
  head.version = alpn === "h3" ? 30 : alpn === "h2" ? 20 : 11;
  head.method = question.method;
  head.scheme = isSecure(question) ? "https" : "http";
  head.authority = authorityOf(question);
  head.path = question.path;
  for (const [name, value] of question.fields) {
    if (name === "upgrade") head.upgrade = value.toLowerCase();
    else if (name === "content-length") head.contentLength = Number(value);
    else if (name !== "host") {
      head.fields.addBytes(Buffer.from(name, "latin1"), Buffer.from(value, "latin1"));
    }
  }
  return head;
}

function wayOf(
  plan: HttpPlan,
  question: Question,
  head: RequestHead,
  alpn: string | null,
): Partial<Part> {
  const guide = guideOf(plan, connectionOf(plan, question, alpn));
  const route = guide.route(head);
  if (typeof route === "number") {
    const found = new RouteTable(plan.routes).find(head);
    const routes = explainRoutes(plan.routes, head, found);
    return { routes, ...refusal(route, REFUSALS[route]) };
  }
  const index = plan.routes.indexOf(route.plan);
  const routes = explainRoutes(plan.routes, head, index);
  return { routes, ...forward(guide, route, head) };
}

const refusal = (status: number, refused: string): Partial<Part> => ({
  refused,
  answer: { status, location: null },
});

const REFUSALS = {
  400: "its path or host means different things to different programs",
  404: "no route fits",
  405: "TRACE and CONNECT are not forwarded",
  421: "no route fits, and its host is not the name of its connection",
  425: "it came before the handshake was over",
} as const;

function guideOf({ routes, h3 }: HttpPlan, connection: ClientConnection): Guide {
  const router = createRouter({
    routes,
    filtersFor: filtersOf,
    ids: new RequestIds(new Uint8Array(ID_RANDOM_BYTES)),
    unixMs: () => 0,
    altSvcSeconds: h3?.altSvcSeconds ?? 0,
    challenges: new ChallengeAnswers(),
  });
  return router.guide(connection);
}

function connectionOf(
  { tls, trusted }: HttpPlan,
  question: Question,
  alpn: string | null,
): ClientConnection {
  return {
    address: question.client,
    port: CLIENT_PORT,
    trusted: new AddressSet(trusted).has(ipOf(question)),
    tls: tls && {
      alpn: alpn ?? "",
      serverName: question.sni ?? "",
      version: "TLSv1.3",
      cipher: "",
      resumed: false,
      clientSubject: "",
      clientFingerprint: "",
    },
  };
}

/** As the exchange does (protocols/http/relay.ts). */
function forward(guide: Guide, route: Route, head: RequestHead): Partial<Part> {
  const { plan, filters } = route;
  if (plan.group === null) return { answer: answerOf(guide.answer(route, head).head) };
  for (const filter of filters) {
    const own = filter.answer(head);
    if (own !== null) return { answer: answerOf(own.head) };
  }
  const { bodyBytes } = plan.limits;
  if (bodyBytes > 0 && head.contentLength > bodyBytes) {
    return refusal(413, `its body is larger than ${bodyBytes} bytes`);
  }
  if (guide.editRequest(route, head) !== null) {
    return refusal(400, "its path means different things to different programs");
  }
  return { group: plan.group, request: sent(plan, head) };
}

function answerOf({
  status,
  fields,
}: {
  status: number;
  fields: RequestHead["fields"];
}): OwnAnswer {
  return { status, location: fields.get("location") };
}

function sent({ host }: HttpRoutePlan, head: RequestHead): SentRequest {
  const fields = head.fields
    .entries()
    .map(([name, value]): [string, string] => [
      name.toLowerCase(),
      value.startsWith(NO_CHANCE) ? "(made for each request)" : value,
    ]);
  const authority = host === "target" ? "(the target's)" : head.authority;
  return { method: head.method, path: head.path, fields: [["host", authority], ...fields] };
}

function explainRoutes(
  routes: readonly HttpRoutePlan[],
  head: RequestHead,
  found: number,
): RouteAnswer[] {
  return routes.map(({ match }, index) => {
    const chosen = index === found;
    return { index, chosen, reason: chosen ? null : whyNot(match, index, found, head) };
  });
}

function whyNot(match: HttpMatchPlan, index: number, found: number, head: RequestHead): string {
  const ask = (condition: Partial<HttpMatchPlan>): number =>
    new RouteTable([{ match: { ...ANY, ...condition } }]).find(head);
  const { host, path, methods, headers } = match;
  const reasons: string[] = [];
  if (ask({ host }) !== 0)
    reasons.push(`it is for ${host}, and this asks ${head.authority || "nobody"}`);
  const reading = ask({ path });
  if (reading === BAD_PATH) reasons.push(`programs do not agree whether ${head.path} is ${path}`);
  else if (reading === NO_ROUTE) reasons.push(`it is for the path ${path}`);
  if (ask({ methods }) !== 0) reasons.push(`it is for ${methods!.join(" or ")}`);
  for (const field of headers) {
    if (ask({ headers: [field] }) === 0) continue;
    const { name, value } = field;
    reasons.push(value === null ? `it wants the field ${name}` : `it wants ${name}: ${value}`);
  }
  if (reasons.length > 0) return reasons.join("; ");
  return found >= 0 && index > found
    ? `route ${found + 1} stands before it, and decides`
    : "the request is refused before";
}
