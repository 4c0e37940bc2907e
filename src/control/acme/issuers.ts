// Who signs which names: the authorities of the plan in their order, and the internal one for names that no public authority
// signs. Called by whoever owns a manager.

import type { AutoTlsPlan } from "../../shared/auto-tls-plan.ts";
import { isInternalName } from "../../shared/internal-names.ts";
import type { Log } from "../../shared/log.ts";
import { AcmeIssuer } from "./acme-issuer.ts";
import { InternalIssuer } from "./internal-issuer.ts";
import type { Issuer } from "./issuer.ts";
import type { CertificateStorage } from "./storage.ts";

/** @returns for the names of one certificate, at least one. */
export function composeIssuers(
  { authorities, internal, keyType }: AutoTlsPlan,
  storage: CertificateStorage,
  log: Log,
): (names: readonly string[]) => readonly Issuer[] {
  const own = [new InternalIssuer(storage)];
  const acme = authorities.map((plan) => {
    const warn = (message: string): void => log.warn({ authority: plan.name }, message);
    // Who asks for RSA wants it for what signs requests, too; acme-client signs by RSA or P-256.
    const accountKeyType = keyType.startsWith("rsa") ? keyType : "p256";
    return new AcmeIssuer({ plan, storage, warn, accountKeyType });
  });
  return (names) => {
    const isInternal = acme.length === 0 || (internal && names.some(isInternalName));
    return isInternal ? own : acme;
  };
}
