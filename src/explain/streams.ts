// What becomes of a connection, or of a datagram, at a listener that forwards bytes: tcp, tls, quic, udp. The entrance and the
// table of routes are those that engines and gateways ask. Pure. Called by explain.ts.

import { Entrance } from "../l4/entrance.ts";
import type { ClientHello } from "../l4/tls/client-hello.ts";
import { RouteTable } from "../l4/tls/routes.ts";
import { entranceOf } from "../protocols/admission.ts";
import type { LinkPlan, TlsPlan } from "../shared/http-plan.ts";
import type { RelayPlan, RoutePlan, UdpPlan } from "../shared/plan.ts";
import type { QuicPlan } from "../shared/quic-plan.ts";
import { type Found, NOTHING, type Part, type RouteAnswer } from "./answer.ts";
import { certificateFor } from "./certificate.ts";
import { agreementOf, clientNotes, introductionNote, refusalAtEntrance } from "./client.ts";
import type { Context } from "./explain.ts";
import { isSecure, type Question } from "./question.ts";

const NO_COUNTS = { clients: null, accepts: null };

export function explainStream(
  plan: RelayPlan | TlsPlan | LinkPlan | QuicPlan | UdpPlan,
  context: Context,
): Part {
  const { question } = context;
  const entrance =
    plan.protocol === "tcp"
      ? Entrance.of({ listener: plan, ...NO_COUNTS })
      : entranceOf({ listener: plan, ...NO_COUNTS });
  const token = plan.protocol === "quic" ? plan.quic.tokenFile : null;
  const tls = "tls" in plan ? plan.tls : null;
  const notes = [...introductionNote(entrance, question), ...clientNotes(tls, token)];
  const refused = refusalAtEntrance(entrance, plan.access, question);
  if (refused !== null) return { ...NOTHING, notes, refused };
  switch (plan.protocol) {
    case "tcp":
      return { ...NOTHING, notes, ...byHello(plan, helloOf(question)) };
    case "link":
    case "udp":
      return { ...NOTHING, notes, group: 0 };
    case "tls":
      return { ...NOTHING, notes, ...overTls(plan, context) };
    case "quic":
      return { ...NOTHING, notes, ...overQuic(plan, context) };
  }
}

/** What the first bytes say; a client that does not speak TLS names nothing. */
function helloOf(question: Question): ClientHello {
  if (!isSecure(question)) return { sni: null, alpn: [] };
  return { sni: question.sni, alpn: question.alpn ?? [] };
}

type Routed = Pick<Found, "routes" | "group" | "refused">;

function byHello(
  { routes }: { readonly routes: readonly RoutePlan[] },
  hello: ClientHello,
): Routed {
  if (routes.length === 0) return { routes: [], group: 0, refused: null };
  const found = new RouteTable(routes.map(ruleOf)).find(hello);
  const answers = routes.map((route, index): RouteAnswer => {
    const chosen = index === found;
    return { index, chosen, reason: chosen ? null : whyNot(route, index, found, hello) };
  });
  if (found >= 0) return { routes: answers, group: routes[found]!.group, refused: null };
  return { routes: answers, group: null, refused: `no route is for ${nameOf(hello)}` };
}

function ruleOf({ sni, alpn }: Pick<RoutePlan, "sni" | "alpn">) {
  return { sni: sni ?? undefined, alpn: alpn ?? undefined };
}

/** Each condition alone is asked of the table, too. */
function whyNot(route: RoutePlan, index: number, found: number, hello: ClientHello): string {
  const fits = (rule: Pick<RoutePlan, "sni" | "alpn">): boolean =>
    new RouteTable([ruleOf(rule)]).find(hello) === 0;
  const reasons: string[] = [];
  if (!fits({ sni: route.sni, alpn: null })) {
    reasons.push(
      hello.sni === null
        ? `it is for ${route.sni}, and the client names nobody`
        : `it is for ${route.sni}, and the client asks for ${hello.sni}`,
    );
  }
  if (!fits({ sni: null, alpn: route.alpn })) {
    const offer = hello.alpn.length === 0 ? "nothing" : hello.alpn.join(", ");
    reasons.push(`it is for ${route.alpn!.join(" or ")} (ALPN), and the client offers ${offer}`);
  }
  if (reasons.length > 0) return reasons.join("; ");
  return index > found ? `route ${found + 1} stands before it, and decides` : "it does not fit";
}

function nameOf({ sni, alpn }: ClientHello): string {
  const name = sni ?? "a client that names no server";
  return alpn.length === 0 ? name : `${name} with ${alpn.join(", ")}`;
}

function overTls(plan: TlsPlan, { question, files, autoTls }: Context): Partial<Part> {
  if (!isSecure(question)) {
    return { refused: `it speaks TLS, and ${question.scheme}:// is in clear` };
  }
  // What routes look for is agreed upon, where the listener itself names no protocols (protocols/tls/listener.ts).
  const { tls, routes } = plan;
  const served =
    tls.alpn.length > 0 ? tls.alpn : [...new Set(routes.flatMap(({ alpn }) => alpn ?? []))];
  const agreed = agreementOf(served, question);
  if ("refused" in agreed) return agreed;
  const { alpn } = agreed;
  const certificate = certificateFor(tls, question.sni, files, autoTls);
  const hello = { sni: question.sni, alpn: alpn === null ? [] : [alpn] };
  return { tls: { certificate, alpn }, ...byHello(plan, hello) };
}

function overQuic({ tls }: QuicPlan, { question, files, autoTls }: Context): Partial<Part> {
  if (question.scheme === "udp") return { refused: "it speaks QUIC. Ask for quic://" };
  const agreed = agreementOf(tls.alpn, question, true);
  if ("refused" in agreed) return agreed;
  const certificate = certificateFor(tls, question.sni, files, autoTls);
  return { tls: { certificate, alpn: agreed.alpn }, group: 0 };
}
