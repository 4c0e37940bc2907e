// The paths of the admin listener, and who answers on each. Called by admin.ts.

import { type Answer, failure, type Question } from "./answer.ts";

export interface Path {
  readonly methods: readonly string[];
  /** Answers those too who show no token where there is one. */
  readonly isPublic?: boolean;
  answer(question: Question): Answer | Promise<Answer>;
}

export type Paths = Readonly<Record<string, Path>>;

export const READ: readonly string[] = ["GET", "HEAD"];

export async function answerOn(paths: Paths, question: Question): Promise<Answer> {
  const path = Object.hasOwn(paths, question.path) ? paths[question.path]! : undefined;
  if (path?.isPublic !== true && !question.trusted) {
    const fields = { "www-authenticate": 'Bearer realm="proxy"' };
    return failure(401, "send the token of admin.token_file: Authorization: Bearer TOKEN", fields);
  }
  if (path === undefined) {
    return failure(404, `there is nothing here. Try ${Object.keys(paths).join(", ")}`);
  }
  if (!path.methods.includes(question.method)) {
    const allow = path.methods.join(", ");
    return failure(405, `write ${allow}`, { allow });
  }
  return path.answer(question);
}
