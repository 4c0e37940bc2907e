// The contract of what answers a challenge (RFC 8555 section 8): one solver for each type, whoever asks. The issuer calls it
// between the order and the CA's look.
//
// Invariant: whatever `present` began is undone by `withdraw`, which is called once for every `present`, also after it failed.

import type { ChallengeType } from "../../shared/auto-tls-plan.ts";

export interface ChallengeTask {
  /** Without `*.`. */
  readonly domain: string;
  readonly token: string;
  /** RFC 8555 section 8.1. */
  readonly keyAuthorization: string;
}

export interface Solver {
  readonly type: ChallengeType;
  /**
   * Whether this name could be proven this way, as things are configured. Nothing is sent.
   * @param name as in the order, with `*.` for a wildcard.
   * @returns null if so, otherwise the reason with its cure, for people.
   */
  unfit(name: string): string | null;
  /**
   * Makes the answer visible to the CA, and comes back when it is. Several may be presented at once, also for one domain.
   * @throws ProxyError ERR_CHALLENGE, which names the domain, what was tried and the cure; or the signal's reason.
   */
  present(task: ChallengeTask, signal: AbortSignal): Promise<void>;
  /** Takes it back. @throws ProxyError ERR_CHALLENGE if something stays behind that somebody must remove by hand. */
  withdraw(task: ChallengeTask): Promise<void>;
}
