// Who signs which names: the authorities of the plan in their order, and the internal one for names that no public authority
// signs. Called by whoever owns a manager.

import type { AutoTlsPlan } from "../../shared/auto-tls-plan.ts";
import { ProxyError } from "../../shared/errors.ts";
import { InternalIssuer } from "./internal-issuer.ts";
import type { Issuer } from "./issuer.ts";
import type { CertificateStorage } from "./storage.ts";

/** @returns for the names of one certificate, at least one. */
export function composeIssuers(
  { authorities }: AutoTlsPlan,
  storage: CertificateStorage,
): (names: readonly string[]) => readonly Issuer[] {
  const own = [new InternalIssuer(storage)];
  if (authorities.length > 0) {
    throw new ProxyError("ERR_NOT_AVAILABLE", "public authorities are not asked by this version", {
      cure: "Take auto_tls: ca: internal",
    });
  }
  return () => own;
}
