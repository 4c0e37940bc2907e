// Self-signed certificates for those that are missing, made once and forgotten when the real ones are there. Called by
// auto-tls.ts.

import { MANAGER } from "../../shared/auto-tls-limits.ts";
import type { CertificateMaterial } from "../../shared/certificates.ts";
import type { Secret } from "../../shared/secret.ts";
import { selfSigned } from "./self-signed.ts";

export class StandIns {
  readonly #byName = new Map<string, CertificateMaterial<Secret>>();
  /** For the many, and for clients of a listener that has no certificate at all: names come on demand. */
  #common: CertificateMaterial<Secret> | null = null;

  get all(): readonly CertificateMaterial<Secret>[] {
    const all = [...this.#byName.values()];
    return all.length > 0 || this.#common === null ? all : [this.#common];
  }

  /**
   * Makes what is not there yet, and forgets what is not missing any more. To make one takes a while: of many, those beyond the
   * first are one certificate, which says nothing of their names. Nobody trusts either.
   * @param missing names of each certificate; the first names it.
   */
  async cover(missing: readonly (readonly string[])[], nowMs: number): Promise<void> {
    const firsts = new Set(missing.map(([first]) => first!));
    for (const name of this.#byName.keys()) if (!firsts.has(name)) this.#byName.delete(name);
    const own = missing.slice(0, MANAGER.standInsMax);
    const others = missing.slice(own.length);
    for (const names of own) {
      if (this.#byName.has(names[0]!)) continue;
      this.#byName.set(names[0]!, await selfSigned(names, nowMs));
    }
    if (others.length === 0 && missing.length > 0) return;
    this.#common ??= await selfSigned(["localhost"], nowMs);
    for (const names of others) {
      if (!this.#byName.has(names[0]!)) this.#byName.set(names[0]!, { ...this.#common, names });
    }
  }
}
