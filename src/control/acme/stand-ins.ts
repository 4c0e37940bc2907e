// Self-signed certificates for those that are missing, made once and forgotten when the real ones are there. Called by
// auto-tls.ts.

import { MANAGER } from "../../shared/auto-tls-limits.ts";
import type { CertificateMaterial } from "../../shared/certificates.ts";
import type { Secret } from "../../shared/secret.ts";
import { selfSigned } from "./self-signed.ts";

export class StandIns {
  readonly #byName = new Map<string, CertificateMaterial<Secret>>();
  /** For clients of a listener that has no certificate at all: names come on demand. */
  #nobody: CertificateMaterial<Secret> | null = null;

  get all(): readonly CertificateMaterial<Secret>[] {
    const all = [...this.#byName.values()];
    return all.length > 0 || this.#nobody === null ? all : [this.#nobody];
  }

  /**
   * Makes what is not there yet, and forgets what is not missing any more.
   * @param missing names of each certificate; the first names it.
   */
  async cover(missing: readonly (readonly string[])[], nowMs: number): Promise<void> {
    this.#nobody ??= await selfSigned(["localhost"], nowMs);
    const firsts = new Set(missing.map(([first]) => first!));
    for (const name of this.#byName.keys()) if (!firsts.has(name)) this.#byName.delete(name);
    const queue = missing.filter(([first]) => !this.#byName.has(first!));
    const make = async (): Promise<void> => {
      for (let names = queue.shift(); names !== undefined; names = queue.shift()) {
        this.#byName.set(names[0]!, await selfSigned(names, nowMs));
      }
    };
    await Promise.all(Array.from({ length: MANAGER.readsAtOnce }, make));
  }
}
