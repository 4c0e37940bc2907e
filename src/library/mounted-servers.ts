// Servers of the user's own that answer challenges: they ask here what is pending. Where none is mounted, the solvers open
// listeners for as long as an authority may come. Called by auto-manager.ts.

import { createSecureContext, type SecureContext } from "node:tls";

import { PendingAnswers } from "../control/acme/pending-answers.ts";
import type { ChallengeHost } from "../control/acme/presenter.ts";
import { Questions } from "../control/questions.ts";
import { HTTP_01_PATH } from "../shared/challenges.ts";

export class MountedServers implements ChallengeHost {
  /** There is nobody else to tell. */
  readonly challenges = new PendingAnswers(() => [], new Questions());
  readonly plan = { listeners: [] };
  readonly #ports = new Set<number>();

  listeners(): [] {
    return [];
  }

  /** A server that asks here was made for this port. */
  mount(port: number): void {
    this.#ports.add(port);
  }

  isMounted(port: number): boolean {
    return this.#ports.has(port);
  }

  /** @param path of a request. @returns null: it is no challenge that is pending (RFC 8555 section 8.3). */
  http01(path: string): string | null {
    if (!path.startsWith(HTTP_01_PATH)) return null;
    const token = path.slice(HTTP_01_PATH.length);
    for (const answer of this.challenges.all) {
      if (answer.type === "http-01" && answer.token === token) return answer.keyAuthorization;
    }
    return null;
  }

  /** What a handshake for this name is shown; null: no challenge is pending for it (RFC 8737). */
  tlsAlpn01(serverName: string): SecureContext | null {
    for (const answer of this.challenges.all) {
      if (answer.type !== "tls-alpn-01" || answer.serverName !== serverName.toLowerCase()) continue;
      return createSecureContext({ cert: answer.chain, key: Buffer.from(answer.key) });
    }
    return null;
  }
}
