// What this worker's listeners answer certificate authorities with (shared/challenges.ts), in the form that requests and
// handshakes are looked up by. The worker has one, for all of its listeners; between orders it is empty, and costs those a look
// at a flag.

import { createSecureContext } from "node:tls";

import type { ChallengeAnswer, Http01Answer, TlsAlpn01Answer } from "../shared/challenges.ts";
import { type NativeContext, nativeOf } from "./wire/tls-context.ts";

interface Shown {
  readonly chain: string;
  readonly context: NativeContext;
}

export class ChallengeAnswers {
  /** Some request may be an authority's. */
  hasHttp = false;
  /** Some handshake may be an authority's. */
  hasTls = false;
  #byToken = new Map<string, Http01Answer>();
  #byServerName = new Map<string, Shown>();
  readonly #watchers = new Set<() => void>();

  /** In place of what there was. */
  set(answers: readonly ChallengeAnswer[]): void {
    const shown = this.#byServerName;
    this.#byToken = new Map();
    this.#byServerName = new Map();
    for (const answer of answers) {
      if (answer.type === "http-01") this.#byToken.set(keyOf(answer.domain, answer.token), answer);
      else this.#byServerName.set(answer.serverName, shownBy(answer, shown.get(answer.serverName)));
    }
    this.hasHttp = this.#byToken.size > 0;
    this.hasTls = this.#byServerName.size > 0;
    for (const watcher of this.#watchers) watcher();
  }

  /** @param domain in lower case, without a port. */
  keyAuthorization(domain: string, token: string): string | null {
    return this.#byToken.get(keyOf(domain, token))?.keyAuthorization ?? null;
  }

  /** What the special certificate is shown with (RFC 8737 section 3). */
  contextFor(serverName: string): NativeContext | null {
    return this.#byServerName.get(serverName)?.context ?? null;
  }

  /** @param changed called whenever there are others. @returns what ends it. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  }
}

function keyOf(domain: string, token: string): string {
  return `${domain} ${token}`;
}

function shownBy({ chain, key }: TlsAlpn01Answer, before: Shown | undefined): Shown {
  if (before?.chain === chain) return before;
  const made = createSecureContext({ cert: chain, key: Buffer.from(key), minVersion: "TLSv1.2" });
  return { chain, context: nativeOf(made) };
}
