// What is done to the head of a request on its way to a backend, compiled for each route: fields that clients may not send are
// taken out, what this proxy says of the client is put in, the path is rewritten, and the route's own edits are done. What one
// connection's requests have in common is made once and kept by its guide (guide.ts): mostly an edit is one look at each
// field, one copy of bytes, and a request id.
//
// The route's own edits come last, and win: a field that they set or remove is not sent otherwise either.

import { type HttpRoutePlan } from "../../../shared/http-plan.ts";
import { HTTP_ROUTES } from "../../../shared/limits.ts";
import type { ClientConnection } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import type { RequestHead, Version } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import { type BlockField, FieldBlock } from "./block.ts";
import { compileFieldEdit } from "./field-edit.ts";
import { CLAIMS, Client, type Wanted, wantedClaims } from "./forwarded.ts";
import { Removal } from "./removal.ts";
import type { RequestIds } from "./request-id.ts";
import { Rewrite } from "./rewrite.ts";
import { subjectValue } from "./subject.ts";
import { viaField } from "./via.ts";

const X_REQUEST_ID = idOf("x-request-id");
const MAX_FORWARDS = idOf("max-forwards");

/**
 * Fields of clients that never go on: `Proxy`, which programs behind CGI take for the address of a proxy (CVE-2016-5385), and
 * what looks like a length of the message.
 */
const NEVER = ["proxy", "content-length", "transfer-encoding"];

/** What the requests of one connection for one host and route have in common. */
export interface Shared {
  readonly client: Client;
  /** Goes behind the fields of each. */
  readonly block: FieldBlock;
  /** The same, with a request id to be finished at its end: for each that brings none which may go on. */
  readonly blockWithId: FieldBlock;
}

export class RequestEdit {
  readonly #plan: HttpRoutePlan;
  readonly #ids: RequestIds;
  readonly #claims: Wanted;
  readonly #edited: ReadonlySet<string>;
  readonly #own: readonly BlockField[];
  readonly #host: string | null;
  readonly #untrusted: Removal;
  readonly #trusted: Removal;
  readonly #rewrite: Rewrite | null;
  readonly #makesId: boolean;

  /** @throws ProxyError ERR_CONFIG for an edit that cannot be carried out. */
  constructor(plan: HttpRoutePlan, ids: RequestIds) {
    this.#plan = plan;
    this.#ids = ids;
    const edit = compileFieldEdit(plan.request);
    this.#edited = edit.replaced;
    this.#host = plan.request.set.find(({ name }) => name === "host")?.value ?? null;
    this.#own = edit.fields.filter(({ name }) => name !== "host");
    this.#claims = wantedClaims(plan.forwarded, edit.replaced);
    this.#rewrite = plan.rewrite === null ? null : new Rewrite(plan.rewrite);
    this.#makesId = plan.forwarded.requestId && !edit.replaced.has("x-request-id");
    const { clientSubject } = plan.forwarded;
    const always = [...NEVER, ...edit.replaced, ...(clientSubject === null ? [] : [clientSubject])];
    const id = this.#makesId ? ["x-request-id"] : [];
    this.#untrusted = new Removal({
      names: [...always, ...CLAIMS, ...id],
      prefix: "x-forwarded-",
    });
    this.#trusted = new Removal({ names: always, guarded: [...CLAIMS, ...id] });
  }

  /** @param authority of the request. @param version of the request. */
  share(connection: ClientConnection, authority: string, version: Version): Shared {
    const { forwarded } = this.#plan;
    const client = new Client(connection, authority);
    const fields = connection.trusted ? [] : client.claims(this.#claims);
    const subject = connection.tls?.clientSubject ?? "";
    const name = forwarded.clientSubject;
    if (name !== null && subject !== "" && !this.#edited.has(name)) {
      fields.push({ name, value: subjectValue(subject) });
    }
    if (forwarded.via && !this.#edited.has("via")) fields.push(viaField(version));
    const all = [...fields, ...this.#own];
    const id = { name: "x-request-id", value: this.#ids.template() };
    return { client, block: new FieldBlock(all), blockWithId: new FieldBlock([...all, id]) };
  }

  /** @returns false if the request must be refused (400): its path cannot be rewritten. */
  applyTo(head: RequestHead, trusted: boolean, shared: Shared): boolean {
    if (this.#rewrite !== null && !this.#rewrite.applyTo(head)) return false;
    const { fields } = head;
    let makesId = this.#makesId;
    if (trusted) {
      this.#trusted.applyTo(fields);
      shared.client.addTo(fields, this.#claims);
      if (makesId) makesId = !keepsId(fields);
    } else this.#untrusted.applyTo(fields);
    if (makesId) this.#ids.finish(fields.arena, shared.blockWithId.appendTo(fields));
    else shared.block.appendTo(fields);
    if (this.#host !== null) head.authority = this.#host;
    if (head.method === "OPTIONS") forwardOnceLess(fields);
    return true;
  }

  /** Whoever is trusted says what it has to say in the head. */
  clearTrailers(trailers: Fields): void {
    this.#untrusted.applyTo(trailers);
  }
}

/** @returns whether there is one request id that may go on; otherwise there is none any more. */
function keepsId(fields: Fields): boolean {
  const i = fields.find(X_REQUEST_ID);
  if (i < 0) return false;
  const start = fields.ranges[i * 4 + 2]!;
  const end = fields.ranges[i * 4 + 3]!;
  let kept =
    end > start &&
    end - start <= HTTP_ROUTES.requestIdMaxBytes &&
    fields.findLast(X_REQUEST_ID) === i;
  for (let at = start; kept && at < end; at++) {
    const byte = fields.arena[at]!;
    kept = byte > 0x20 && byte < 0x7f;
  }
  if (!kept) fields.removeAll(X_REQUEST_ID);
  return kept;
}

/** Max-Forwards of OPTIONS (RFC 9110 section 7.6.2): how many more proxies it may pass. */
export function maxForwards(fields: Fields): number | null {
  const i = fields.find(MAX_FORWARDS);
  if (i < 0) return null;
  const value = fields.value(i);
  return /^\d{1,9}$/.test(value) ? Number(value) : null;
}

function forwardOnceLess(fields: Fields): void {
  const left = maxForwards(fields);
  if (left === null || left === 0) return;
  fields.removeAll(MAX_FORWARDS);
  fields.add("max-forwards", String(left - 1));
}
