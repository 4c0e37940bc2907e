// An operation of the API: what it takes, what it answers, how it is done, and how a question becomes one. Called by the
// operations beside this, and by admin.ts.

import { z } from "zod";

import { type Answer, failure, json, type Question } from "../answer.ts";

export interface Operation {
  readonly summary: string;
  readonly description?: string;
  /** Of the query; none: it takes none. */
  readonly query?: z.ZodObject;
  /** Of the body, JSON; none: it takes none. */
  readonly body?: z.ZodType;
  readonly answers: z.ZodType;
  /** Of what it answers; by default JSON. */
  readonly type?: string;
  run(input: { query: unknown; body: unknown }): Answer | Promise<Answer>;
}

/** By path and method. */
export type Operations = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

export function operation<Q extends z.ZodObject, B extends z.ZodType, A extends z.ZodType>(
  given: Readonly<{ summary: string; description?: string; query?: Q; body?: B; answers: A }>,
  run: (input: { query: z.output<Q>; body: z.output<B> }) => z.input<A> | Promise<z.input<A>>,
): Operation {
  return {
    ...given,
    run: async (input) => {
      const answer = await run(input as { query: z.output<Q>; body: z.output<B> });
      return isRefusal(answer) ? failure(answer.status, answer.reason) : json(200, answer);
    },
  };
}

/** An operation that could not be done. */
class Refusal {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

const isRefusal = (value: unknown): value is Refusal => value instanceof Refusal;
export const refusal = (status: number, reason: string): never =>
  new Refusal(status, reason) as unknown as never;

/** @returns the answer, or what is wrong with the question. */
export function perform(operation_: Operation, question: Question): Answer | Promise<Answer> {
  const { query, body } = operation_;
  // A script's variable without a value must not stand for everybody, nor for the first.
  for (const [name, value] of question.query) {
    if (value === "") return failure(400, `${name} is empty. Leave it out, or say which`);
  }
  const given = Object.fromEntries(question.query);
  const parsedQuery = (query ?? z.strictObject({})).safeParse(given);
  if (!parsedQuery.success) return failure(400, z.prettifyError(parsedQuery.error));
  if (body === undefined) return operation_.run({ query: parsedQuery.data, body: undefined });
  const parsedBody = body.safeParse(parseJson(question.body));
  if (!parsedBody.success) return failure(400, z.prettifyError(parsedBody.error));
  return operation_.run({ query: parsedQuery.data, body: parsedBody.data });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema says what belongs there
  }
}
