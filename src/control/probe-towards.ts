// How a probe of type http reaches a target: as the listener's own requests do, over TLS with the same authorities, name and
// certificate, or in clear. Pure. Called by health-checks.ts.

import { isIP } from "node:net";

import type { ListenerCertificates } from "../shared/certificates.ts";
import { isHttpPlan, type TlsClientPlan } from "../shared/http-plan.ts";
import type { TargetSlot } from "../shared/messages.ts";
import type { ListenerPlan, TargetPlan } from "../shared/plan.ts";
import { IN_CLEAR, type ProbeTls, type Towards } from "./probe.ts";

export function towardsTarget(
  plan: ListenerPlan,
  { group, index }: Pick<TargetSlot, "group" | "index">,
  certificates: ListenerCertificates | null,
): Towards {
  if (plan.protocol === "tcp" || plan.protocol === "udp") return IN_CLEAR;
  const authority = isHttpPlan(plan) ? plan.groups[group]!.targets[index]!.authority : null;
  const target = plan.groups[group]!.targets[index]!;
  if (target.tls === null) return { authority, tls: null };
  const own = certificates?.targets.find((each) => each.group === group && each.index === index);
  return { authority, tls: tlsOf(target, target.tls, own) };
}

function tlsOf(
  { endpoint }: TargetPlan,
  { serverName, insecure }: TlsClientPlan,
  own: ListenerCertificates["targets"][number] | undefined,
): ProbeTls {
  const name = serverName ?? (endpoint.kind === "unix" ? "" : endpoint.host);
  const { ca = null, certificate = null } = own ?? {};
  return {
    // An address is no server name (RFC 6066 section 3); the certificate is held to it all the same.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    rejectUnauthorized: !insecure,
    ...(ca === null ? {} : { ca }),
    ...(certificate === null ? {} : { cert: certificate.chain, key: Buffer.from(certificate.key) }),
  };
}
