// The fields that a route's own edits set, add and remove, as names and bytes. What cannot be a field, or is not the message's
// but the connection's, is an error of the configuration here at the latest: nothing that the codecs see to themselves may be
// written by hand, or two lengths of one message would be told.

import { ProxyError } from "../../../shared/errors.ts";
import type { HeaderEditPlan } from "../../../shared/http-plan.ts";
import { type BlockField } from "./block.ts";

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Framing and connections: the codecs' own (heads.ts). */
const CODECS = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "te",
  "upgrade",
  "http2-settings",
  "content-length",
  "expect",
]);

export interface FieldEdit {
  /** What is set or removed: it is taken out of what came. */
  readonly replaced: ReadonlySet<string>;
  /** What is set and added, in order. */
  readonly fields: readonly BlockField[];
}

/** @throws ProxyError ERR_CONFIG for a field that cannot be written. */
export function compileFieldEdit(plan: HeaderEditPlan): FieldEdit {
  const given = [...plan.set, ...plan.add];
  for (const name of [...plan.remove, ...given.map((field) => field.name)]) checkName(name);
  return {
    replaced: new Set([...plan.set.map(({ name }) => name), ...plan.remove]),
    fields: given.map(({ name, value }) => ({ name, value: valueBytes(name, value) })),
  };
}

function checkName(name: string): void {
  if (!TOKEN.test(name)) {
    throw new ProxyError("ERR_CONFIG", `"${name}" is not the name of a field`, {
      cure: "Write a name such as x-env, in lower case",
    });
  }
  if (CODECS.has(name)) {
    throw new ProxyError("ERR_CONFIG", `the field "${name}" cannot be changed`, {
      cure: "Leave it out: it is about the connection, or about where a message ends",
    });
  }
}

/** UTF-8 where it is not ASCII, as browsers and servers write it. */
function valueBytes(name: string, value: string): Uint8Array {
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(value) || value.trim() !== value) {
    throw new ProxyError("ERR_CONFIG", `the value of the field "${name}" cannot be sent`, {
      cure: "Write it in one line, without control characters or white space around it",
    });
  }
  return new TextEncoder().encode(value);
}
