// Orders one certificate and puts it in use, as the manager does: under its lock, and only if nobody else has. Where a test
// says so, it is killed before or after one of its requests, as a power cut would.

import { readFileSync } from "node:fs";

import { AcmeIssuer } from "../../../src/control/acme/acme-issuer.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import type { AuthorityPlan } from "../../../src/shared/auto-tls-plan.ts";
import { ChallengeAnswers, ServedSolver } from "../../support/challenge-server.ts";

export interface Task {
  readonly folder: string;
  readonly plan: AuthorityPlan;
  readonly name: string;
  /** Of the server of challenges. */
  readonly challenges: string;
  /** The number of the request that it does not survive; 0: it survives them all. */
  readonly killAt: number;
  /** The authority has got it, and its answer has come. */
  readonly answered: boolean;
}

const task = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Task;
const { folder, plan, name, killAt, answered } = task;

let requests = 0;
const real = globalThis.fetch;
const counting = async (...call: Parameters<typeof fetch>): Promise<Response> => {
  const isLast = ++requests === killAt;
  if (isLast && !answered) process.kill(process.pid, "SIGKILL");
  const answer = await real(...call);
  if (isLast) process.kill(process.pid, "SIGKILL");
  return answer;
};
globalThis.fetch = counting as typeof fetch;

const storage = new CertificateStorage(folder);
const signal = AbortSignal.timeout(40_000);
const warn = (message: string): void => void process.stderr.write(`${message}\n`);
const issuer = new AcmeIssuer({ plan, storage, warn });
const solver = new ServedSolver(new ChallengeAnswers(task.challenges), "http-01");
const lock = await storage.lockCertificate(name, signal);
if ((await storage.certificates.read(name)) === null) {
  const request = { names: [name], keyType: "p256", solvers: [solver], replaces: null } as const;
  const issued = await issuer.issue(request, signal);
  await storage.certificates.save([name], issued, issuer.name, Date.now());
  process.stdout.write(`issued after ${requests} requests\n`);
} else {
  process.stdout.write("it was there\n");
}
lock.release();
