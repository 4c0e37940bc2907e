// Proving the names of an order (RFC 8555 section 7.5): for each a solver that fits, its answer made visible, the authority told
// to look, and the answer taken back whatever came of it. All names of an order go at once, and all are told of that failed.
// Called by the order.

import { ACME } from "../../../shared/auto-tls-limits.ts";
import { messageOf } from "../../../shared/errors.ts";
import { IssueError } from "../issue-error.ts";
import type { IssueFailure } from "../issuer.ts";
import type { ChallengeTask, Solver } from "../solver.ts";
import { plainAddress } from "./chain.ts";
import { pollUntil } from "./polling.ts";
import { isFinal, type Problem } from "./problem.ts";
import { type Authorization, type Challenge, readAuthorization } from "./resources.ts";
import type { Session } from "./session.ts";

/** What became of a name. */
interface Outcome {
  readonly name: string;
  readonly error: unknown;
}

/** What is left of an order where a name could not be proven (RFC 8555 section 7.1.6). */
export type OrderState =
  | "alive" // the authority has not looked: it can be gone on with
  | "dead" // it has looked, and the order is invalid
  | "stale"; // the authorisations had ended before anything was done

export class ProofError extends IssueError {
  readonly order: OrderState;

  constructor(message: string, order: OrderState, failure: IssueFailure, cause: unknown) {
    super(message, failure, { cause });
    this.order = order;
  }
}

/** The authorisation had ended already: invalid, expired, deactivated, revoked. */
class EndedError extends IssueError {}

/** A challenge that failed at the solver, or at the authority. */
class ChallengeError extends IssueError {
  readonly challenge: IssueFailure["failedChallenges"][number];
  readonly isLookedAt: boolean;

  /** @param problem of the authority; null: `cause`, of the solver. */
  constructor(name: string, { type }: Solver, problem: Problem | null, cause?: unknown) {
    const said = problem === null ? messageOf(cause) : problem.text;
    const failure = { isFinal: isFinal(problem?.type ?? "") };
    super(`${name} (${type}): ${said}`, failure, cause === undefined ? {} : { cause });
    this.challenge = { name, type };
    this.isLookedAt = problem !== null;
  }
}

/**
 * What can be found out before an order is made: whether every name has a solver that fits.
 * @throws IssueError with each solver's reason.
 */
export function checkSolvers(names: readonly string[], solvers: readonly Solver[]): void {
  const problems = names.flatMap((name) => {
    const reasons = solvers.map((solver) => ({ type: solver.type, reason: solver.unfit(name) }));
    if (reasons.some(({ reason }) => reason === null)) return [];
    const why = reasons.map(({ type, reason }) => `${type}: ${reason}`).join("; ");
    return [`${name} can be proven in no way: ${why || "no challenge is configured"}`];
  });
  if (problems.length > 0) throw new IssueError(problems.join(". "), { isFinal: true });
}

/**
 * Proves what is not proven yet, and nothing but names of the order, whatever the authority asks for.
 * @param names of the order.
 * @param warn of answers that could not be taken back.
 * @throws ProofError with all names that failed; or the signal's reason.
 */
export async function proveAll(
  session: Session,
  names: readonly string[],
  urls: readonly string[],
  solvers: readonly Solver[],
  warn: (message: string) => void,
): Promise<void> {
  const thumbprint = session.thumbprint();
  const waiting = [...urls];
  const failed: Outcome[] = [];
  const work = async (): Promise<void> => {
    for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) {
      const what = `${session.name} does not show an authorisation`;
      let name = url;
      try {
        const authorization = readAuthorization(session.name, url, await session.read(url, what));
        name = authorization.name;
        if (![name, `*.${name}`, plainAddress(name)].some((each) => names.includes(each))) {
          throw new IssueError(`${name} is not in the order, and nobody is to prove it`);
        }
        await prove(session, authorization, thumbprint, solvers, warn);
      } catch (error) {
        failed.push({ name, error });
      }
    }
  };
  const workers = Math.min(waiting.length, ACME.challengesAtOnce);
  await Promise.all(Array.from({ length: workers }, work));
  session.signal.throwIfAborted();
  if (failed.length > 0) throw combined(session.name, failed);
}

async function prove(
  session: Session,
  authorization: Authorization,
  thumbprint: string,
  solvers: readonly Solver[],
  warn: (message: string) => void,
): Promise<void> {
  const { name, status } = authorization;
  if (status === "valid") return;
  if (status !== "pending") throw new EndedError(`${name}: the authorisation is ${status}`);
  const { solver, challenge } = choose(session.name, authorization, solvers);
  const { token } = challenge;
  const domain = name.replace(/^\*\./, "");
  const task = { domain, token, keyAuthorization: `${token}.${thumbprint}` };
  try {
    await present(name, solver, task, session.signal);
    await askToLook(session, authorization, challenge, solver);
  } finally {
    await solver.withdraw(task).catch((error: unknown) => warn(messageOf(error)));
  }
}

function choose(
  who: string,
  { name, challenges }: Authorization,
  solvers: readonly Solver[],
): { solver: Solver; challenge: Challenge } {
  const reasons: string[] = [];
  for (const solver of solvers) {
    const challenge = challenges.find(({ type }) => type === solver.type);
    const usable = challenge !== undefined && challenge.token !== "";
    const reason = usable ? solver.unfit(name) : `${who} does not offer it`;
    if (usable && reason === null) return { solver, challenge };
    reasons.push(`${solver.type}: ${reason}`);
  }
  throw new IssueError(`${name} can be proven in no way: ${reasons.join("; ")}`, { isFinal: true });
}

async function present(
  name: string,
  solver: Solver,
  task: ChallengeTask,
  signal: AbortSignal,
): Promise<void> {
  try {
    await solver.present(task, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new ChallengeError(name, solver, null, error);
  }
}

/** RFC 8555 section 7.5.1 */
async function askToLook(
  session: Session,
  { name, url }: Authorization,
  { url: challengeUrl, status, type }: Challenge,
  solver: Solver,
): Promise<void> {
  // After a crash it may know already that the answer is there.
  if (status === "pending") {
    await session.post(challengeUrl, {}, `${session.name} takes no answer for ${name}`);
  }
  const done = await pollUntil(
    session,
    url,
    (answer) => readAuthorization(session.name, url, answer),
    (each) => each.status !== "pending",
    `${session.name} looks at ${name} (${type})`,
    ACME.authorizationMs,
  );
  if (done.status === "valid") return;
  const problem = done.challenges.find((each) => each.type === type)?.error;
  const text = problem?.text || `the authorisation is ${done.status}`;
  throw new ChallengeError(name, solver, { type: problem?.type ?? "", text });
}

function stateAfter(failed: readonly Outcome[]): OrderState {
  if (failed.every(({ error }) => error instanceof EndedError)) return "stale";
  const ended = failed.some(
    ({ error }) =>
      error instanceof EndedError || (error instanceof ChallengeError && error.isLookedAt),
  );
  return ended ? "dead" : "alive";
}

function combined(who: string, failed: readonly Outcome[]): ProofError {
  const failures = failed.map(({ error }) => (error instanceof IssueError ? error.failure : null));
  const until = failures.map((failure) => failure?.notBeforeMs ?? 0);
  const latest = Math.max(...until);
  const messages = failed.map(({ error }) => messageOf(error));
  return new ProofError(
    `${who} has no proof of ${failed.map(({ name }) => name).join(", ")}: ${messages.join(". ")}`,
    stateAfter(failed),
    {
      notBeforeMs: latest === 0 ? null : latest,
      isFinal: failures.some((failure) => failure?.isFinal === true),
      failedChallenges: failed.flatMap(({ error }) =>
        error instanceof ChallengeError ? [error.challenge] : [],
      ),
    },
    failed[0]?.error,
  );
}
