// The files of a plan, looked at without starting anything: what `proxy check` tells of them.

import { messageOf, ProxyError } from "../../shared/errors.ts";
import type { Plan } from "../../shared/plan.ts";
import type { Caution } from "../cautions.ts";
import { readCertificates, tlsPlaces } from "./files.ts";

/**
 * Reads every certificate, key and file of authorities that the plan names.
 * @returns what is to be warned of: certificates that end soon, for example.
 * @throws ProxyError ERR_CERTIFICATE with a line for each listener of which a file cannot be used.
 */
export function checkFiles({ listeners }: Plan, nowMs: number): Caution[] {
  const faults: string[] = [];
  const warnings: Caution[] = [];
  for (const listener of listeners) {
    const places = tlsPlaces(listener);
    if (places === null) continue;
    try {
      const found = readCertificates(places, nowMs).warnings;
      warnings.push(...found.map((message) => ({ listener: listener.key, message })));
    } catch (error) {
      faults.push(`${listener.key}: ${messageOf(error)}`);
    }
  }
  if (faults.length > 0) throw new ProxyError("ERR_CERTIFICATE", faults.join("\n"));
  return warnings;
}
