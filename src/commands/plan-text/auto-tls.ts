// Automatic certificates as rows: what is obtained, of whom, and how names are proven. Pure. Called by plan-text.ts.

import { formatDuration } from "../../config/units.ts";
import { formatEndpoint } from "../../shared/address.ts";
import type {
  AuthorityPlan,
  AutoTlsPlan,
  ChallengeType,
  Dns01Plan,
  OnDemandPlan,
} from "../../shared/auto-tls-plan.ts";
import { isInternalName } from "../../shared/internal-names.ts";
import type { ListenerPlan, Plan } from "../../shared/plan.ts";
import { printableUrl } from "../../shared/secret.ts";
import type { Row } from "./rows.ts";

export function formatAutoTls(plan: AutoTlsPlan, { listeners }: Pick<Plan, "listeners">): Row[] {
  const { certificates, authorities, challenges, onDemand, dns } = plan;
  const rows: Row[] = certificates.map((names, i) => [
    i === 0 ? "certificates" : "",
    `${names.join(", ")}${isOurs(names, plan) ? ", signed by this machine" : ""}`,
  ]);
  if (onDemand !== null) rows.push(["on demand", formatOnDemand(onDemand)]);
  if (authorities.length > 0) {
    rows.push(["signed by", authorities.map(formatAuthority).join(", then ")]);
    const ways = challenges.map((type) => formatChallenge(type, plan, listeners));
    rows.push(["proven by", ways.join(", then ")]);
    if (dns !== null && challenges.includes("dns-01")) rows.push(["DNS", formatDns(dns)]);
  }
  rows.push(["key", KEYS[plan.keyType]], ["storage", plan.storage]);
  return rows;
}

const KEYS: Readonly<Record<AutoTlsPlan["keyType"], string>> = {
  p256: "ECDSA, P-256",
  p384: "ECDSA, P-384",
  rsa2048: "RSA, 2048 bits",
  rsa4096: "RSA, 4096 bits",
};

function isOurs(names: readonly string[], { internal, authorities }: AutoTlsPlan): boolean {
  return authorities.length === 0 || (internal && names.some(isInternalName));
}

function formatAuthority({ name, email, eab, profile, preferredChain }: AuthorityPlan): string {
  const account =
    eab === null ? [] : [eab === "zerossl" ? "external account by e-mail" : `account ${eab.keyId}`];
  const said = [
    ...(email === null ? [] : [email]),
    ...account,
    ...(profile === null ? [] : [`profile ${profile}`]),
    ...(preferredChain === null ? [] : [`chain to ${preferredChain}`]),
  ];
  return said.length === 0 ? name : `${name} (${said.join(", ")})`;
}

function formatChallenge(
  type: ChallengeType,
  plan: AutoTlsPlan,
  listeners: readonly ListenerPlan[],
): string {
  if (type === "dns-01") return `dns-01 (${plan.dns?.provider})`;
  const port = type === "http-01" ? plan.httpPort : plan.tlsPort;
  const answering = listeners.find((listener) => answers(type, port, listener));
  return `${type} (${answering?.key ?? `port ${port} is opened for it`})`;
}

function answers(type: ChallengeType, port: number, listener: ListenerPlan): boolean {
  const { listen, protocol } = listener;
  if (listen.kind !== "tcp" || listen.port !== port) return false;
  if (type === "http-01") return protocol === "http";
  if (protocol === "http3") return listener.h3?.tcp === true;
  return protocol === "tls" || protocol === "http2";
}

function formatDns({
  resolvers,
  propagationTimeoutMs,
  propagationDelayMs,
  ttlSeconds,
}: Dns01Plan): string {
  const delay = propagationDelayMs === 0 ? "" : `after ${formatDuration(propagationDelayMs)}, `;
  const asked =
    resolvers.length === 0 ? "the system's resolvers" : resolvers.map(formatEndpoint).join(", ");
  const seen = `seen everywhere within ${formatDuration(propagationTimeoutMs)}`;
  return `${delay}${seen}, for ${formatDuration(ttlSeconds * 1_000)}, zones found by ${asked}`;
}

function formatOnDemand({
  ask,
  domains,
  orders,
  intervalMs,
  maxCertificates,
}: OnDemandPlan): string {
  const asked =
    ask === null
      ? []
      : [`${domains.length === 0 ? "names" : "others"} that ${printableUrl(ask)} allows`];
  const who = [...domains, ...asked];
  const most = `at most ${orders} orders in ${formatDuration(intervalMs)}`;
  return `${who.join(", ")}; ${most}, ${maxCertificates} certificates in memory`;
}
