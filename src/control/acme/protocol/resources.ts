// Orders, authorisations and challenges (RFC 8555 section 7.1), read from what an authority answered: what is not as the RFC has
// it is an error that says so, and no surprise later. Without I/O. Called by the order and the authorisations.

import { AUTO_TLS_BOUNDS } from "../../../shared/auto-tls-limits.ts";
import { IssueError } from "../issue-error.ts";
import { jsonOf } from "./directory.ts";
import { type Problem, readProblem } from "./problem.ts";
import type { Answer } from "./transport.ts";

export interface Order {
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  /** null: it is not valid yet. */
  readonly certificate: string | null;
  readonly error: Problem;
}

export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly status: string;
  readonly token: string;
  readonly error: Problem;
}

export interface Authorization {
  readonly url: string;
  /** As in the order, with `*.` for a wildcard. */
  readonly name: string;
  readonly status: string;
  readonly challenges: readonly Challenge[];
}

type Fields = Readonly<Record<string, unknown>>;

/** base64url, with at least 128 bits (RFC 8555 section 8.1); it goes into paths and comparisons. */
const TOKEN = /^[\w-]{22,128}$/;

/** @param who the authority, for messages. @throws IssueError */
export function readOrder(who: string, answer: Answer): Order {
  const fields = fieldsOf(who, "an order", jsonOf(answer.body));
  const { authorizations, certificate } = fields;
  if (!Array.isArray(authorizations) || authorizations.some((each) => typeof each !== "string")) {
    throw malformed(who, "an order", "authorizations");
  }
  if (authorizations.length > AUTO_TLS_BOUNDS.namesMax)
    throw malformed(who, "an order", "authorizations");
  return {
    status: string(who, "an order", fields, "status"),
    authorizations: authorizations as string[],
    finalize: string(who, "an order", fields, "finalize"),
    certificate: typeof certificate === "string" ? certificate : null,
    error: readProblem(fields.error),
  };
}

/** @throws IssueError */
export function readAuthorization(who: string, url: string, answer: Answer): Authorization {
  const what = "an authorisation";
  const fields = fieldsOf(who, what, jsonOf(answer.body));
  const identifier = fieldsOf(who, what, fields.identifier);
  const name = string(who, what, identifier, "value").toLowerCase();
  const { challenges } = fields;
  if (!Array.isArray(challenges)) throw malformed(who, what, "challenges");
  return {
    url,
    name: fields.wildcard === true && !name.startsWith("*.") ? `*.${name}` : name,
    status: string(who, what, fields, "status"),
    challenges: challenges.map((each) => readChallenge(who, each)),
  };
}

function readChallenge(who: string, value: unknown): Challenge {
  const what = "a challenge";
  const fields = fieldsOf(who, what, value);
  const token = typeof fields.token === "string" ? fields.token : ""; // some types have none
  if (token !== "" && !TOKEN.test(token)) throw malformed(who, what, "token");
  return {
    type: string(who, what, fields, "type"),
    url: string(who, what, fields, "url"),
    status: string(who, what, fields, "status"),
    token,
    error: readProblem(fields.error),
  };
}

function fieldsOf(who: string, what: string, value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new IssueError(`${who}: what should be ${what} is no object of JSON`);
}

function string(who: string, what: string, fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw malformed(who, what, name);
}

function malformed(who: string, what: string, name: string): IssueError {
  return new IssueError(`${who}: ${name} of ${what} is not as RFC 8555 has it`);
}
