// Looking again at what an authority is working on, as often as it wants (Retry-After) and for a bounded time.

import { ACME } from "../../../shared/auto-tls-limits.ts";
import { IssueError } from "../issue-error.ts";
import { wait } from "./directory.ts";
import type { Session } from "./session.ts";
import type { Answer } from "./transport.ts";

/**
 * Reads a resource until it is as it should be.
 * @param read decodes an answer.
 * @param isDone whether it is worth no further look.
 * @param what is looked at, for people.
 * @param first an answer that is there already; null: the first look is at once.
 * @throws IssueError after `totalMs`; or the signal's reason.
 */
export async function pollUntil<T>(
  session: Session,
  url: string,
  read: (answer: Answer) => T,
  isDone: (value: T) => boolean,
  what: string,
  totalMs: number,
  first: Answer | null = null,
): Promise<T> {
  const deadline = performance.now() + totalMs;
  let ownMs: number = ACME.pollMinMs;
  for (let answer = first; ; answer = null) {
    answer ??= await session.read(url, what);
    const value = read(answer);
    if (isDone(value)) return value;
    const restMs = restOf(answer.retryAtMs, ownMs);
    ownMs = Math.min(ownMs * 2, ACME.pollMs);
    if (performance.now() + restMs > deadline) {
      throw new IssueError(`${what}: not within ${totalMs / 60_000} minutes`);
    }
    await wait(restMs, session.signal);
  }
}

function restOf(retryAtMs: number | null, ownMs: number): number {
  if (retryAtMs === null) return ownMs;
  return Math.min(Math.max(retryAtMs - Date.now(), ACME.pollMinMs), ACME.pollMaxMs);
}
