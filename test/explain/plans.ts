// Plans and questions as the tests of `explain` write them.

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { compile } from "../../src/control/compile.ts";
import type { Explanation, Found } from "../../src/explain/answer.ts";
import type { CertificateFiles } from "../../src/explain/certificate.ts";
import { explain } from "../../src/explain/explain.ts";
import { parseQuestion, type QuestionOptions } from "../../src/explain/question.ts";
import type { Plan } from "../../src/shared/plan.ts";

export function planOf(text: string): Plan {
  const machine = { platform: process.platform, cpus: 1, folder: "/srv", terminal: false };
  return compile(checkSource(parseSource(text, "test.yaml")), machine);
}

export function ask(
  plan: Plan,
  url: string,
  options: QuestionOptions = {},
  files: CertificateFiles = new Map(),
): Explanation {
  return explain(plan, parseQuestion(url, options), files);
}

/** As one line: the listener, and what becomes of it there. */
export function summary({ found, nearest }: Explanation): string {
  if (found === null) return `nobody, ${nearest} is nearest`;
  return `${found.plan.key}: ${outcomeOf(found)}`;
}

function outcomeOf({ plan, refused, answer, group, target }: Found): string {
  if (refused !== null) return `${answer?.status ?? "refused"}, ${refused}`;
  if (answer !== null) return `${answer.status} ${answer.location ?? ""}`.trimEnd();
  const count = plan.groups[group!]!.targets.length;
  return `to ${target ?? `one of ${count}`}`;
}
