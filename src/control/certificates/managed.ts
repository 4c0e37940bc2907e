// What a listener shows besides its files: certificates that are managed, and stand-ins for those that are not there yet.
// Called by certificates.ts.

import type { CertificateMaterial, KeptCertificates } from "../../shared/certificates.ts";
import type { TlsServerPlan } from "../../shared/http-plan.ts";
import type { Secret } from "../../shared/secret.ts";

type Material = CertificateMaterial<Secret>;

/** Who manages certificates. */
export interface ManagedSource {
  materials(): readonly Material[];
  /** Self-signed, for names that nothing else covers. Never empty where `materials` is. */
  standIns(): readonly Material[];
}

/** Files first: somebody put them there on purpose. */
export function withManaged(
  kept: KeptCertificates,
  plan: TlsServerPlan | null,
  source: ManagedSource | null,
): KeptCertificates {
  const { server } = kept;
  if (server === null || plan?.managed !== true || source === null) return kept;
  const real = [...server.certificates, ...source.materials()];
  const known = new Set(real.flatMap(({ names }) => names));
  const standIns = source.standIns().filter(({ names }) => {
    return real.length === 0 || names.some((name) => !isCovered(name, known));
  });
  return { ...kept, server: { ...server, certificates: [...real, ...standIns] } };
}

/** By itself, or by a wildcard, which stands for one label (RFC 6125 section 6.4.3). */
function isCovered(name: string, known: ReadonlySet<string>): boolean {
  return known.has(name) || known.has(`*${name.slice(name.indexOf("."))}`);
}
