// Which certificate is shown to whom, by the name that the client asks for. Called by everything that chooses at a
// handshake: the runtime's TLS and the drivers of QUIC.

import { normalizeHostName } from "../../l4/tls/server-name.ts";
import type { CertificateMaterial } from "../../shared/certificates.ts";

/** Certificates for the same names that differ in their keys stand together: the handshake takes the one that fits. */
export function bundles(certificates: readonly CertificateMaterial[]): CertificateMaterial[][] {
  const found: CertificateMaterial[][] = [];
  const byNames = new Map<string, CertificateMaterial[][]>();
  for (const certificate of certificates) {
    const names = certificate.names.toSorted().join(" ");
    const alike = byNames.get(names) ?? [];
    const fitting = alike.find((bundle) =>
      bundle.every(({ keyType }) => keyType !== certificate.keyType),
    );
    if (fitting !== undefined) {
      fitting.push(certificate);
      continue;
    }
    const bundle = [certificate];
    found.push(bundle);
    byNames.set(names, [...alike, bundle]);
  }
  return found;
}

export interface Named<Context> {
  readonly names: readonly string[];
  readonly context: Context;
}

/** The first context that has the name, then the first that covers it with a wildcard for its last label, then the first. */
export class ByName<Context> {
  readonly #byName = new Map<string, Context>();
  readonly #byParent = new Map<string, Context>();
  readonly #default: Context;

  /** @param contexts at least one. */
  constructor(contexts: readonly Named<Context>[]) {
    this.#default = contexts[0]!.context;
    for (const { names, context } of contexts) {
      for (const name of names) {
        const table = name.startsWith("*.") ? this.#byParent : this.#byName;
        const key = name.startsWith("*.") ? name.slice(2) : name;
        if (!table.has(key)) table.set(key, context);
      }
    }
  }

  /** @param text as the client sent it; empty if it sent none. */
  find(text: string): Context {
    return this.#covering(text) ?? this.#default;
  }

  /** Whether one has this name, or covers it. */
  covers(text: string): boolean {
    return this.#covering(text) !== undefined;
  }

  #covering(text: string): Context | undefined {
    const name = normalizeHostName(text);
    if (name === null) return undefined;
    // RFC 6125 section 6.4.3: a wildcard stands for one label.
    const parent = name.slice(name.indexOf(".") + 1);
    return this.#byName.get(name) ?? this.#byParent.get(parent);
  }
}
