// Whose pages may call gRPC-Web here although they come from another origin (the CORS protocol of the Fetch standard): answers
// preflights, and tells browsers that the page may read an answer and its metadata.
//
// Only origins that the operator named are told anything; without any, all of this is left to the backend. Credentials are
// allowed for origins that were named one by one, never for `*`. Called by filter.ts and stream.ts.

import { GRPC_WEB } from "../../../../shared/limits.ts";
import { type Fields, REMOVED } from "../../message/fields.ts";
import { type RequestHead, ResponseHead } from "../../message/heads.ts";
import { idOf, idOfText } from "../../message/names.ts";
import type { OwnAnswer } from "../../passage.ts";
import { addVary } from "../vary.ts";

const ALLOW_ORIGIN = idOf("access-control-allow-origin");
const NO_BODY = new Uint8Array(0);

/** Fields that every page may read, or that are not for pages. */
const NOT_EXPOSED = new Set([
  idOf("content-type"),
  idOf("content-length"),
  idOf("content-language"),
  idOf("cache-control"),
  idOf("expires"),
  idOf("last-modified"),
  idOf("vary"),
  idOf("date"),
  idOf("set-cookie"),
]);

export class Cors {
  readonly #any: boolean;
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#any = origins.includes("*");
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()));
  }

  /** @returns the answer to a preflight of gRPC-Web; null if the request is none, or if the backend decides. */
  preflight(head: RequestHead): OwnAnswer | null {
    if (this.#origins.size === 0 || head.method !== "OPTIONS") return null;
    const { fields } = head;
    if (fields.get("access-control-request-method") !== "POST") return null;
    const wanted = fields.get("access-control-request-headers");
    if (wanted === null || !/(^|[, \t])x-grpc-web($|[, \t])/i.test(wanted)) return null;
    const answer = new ResponseHead();
    answer.contentLength = 0;
    answer.bodyless = true;
    answer.fields.add(
      "vary",
      "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    );
    const origin = fields.get("origin");
    answer.status = 204;
    if (origin === null || !this.#allow(origin, answer.fields)) answer.status = 403;
    else {
      answer.fields.add("access-control-allow-methods", "POST");
      answer.fields.add("access-control-allow-headers", wanted);
      answer.fields.add("access-control-max-age", String(GRPC_WEB.preflightMaxAgeSeconds));
    }
    return { head: answer, body: NO_BODY };
  }

  /** @param origin of the request; null if it has none. Leaves alone what the backend has decided itself. */
  editAnswer(origin: string | null, fields: Fields): void {
    if (this.#origins.size === 0 || fields.find(ALLOW_ORIGIN) >= 0) return;
    if (this.#origins.size > (this.#any ? 1 : 0)) addVary(fields, "Origin");
    if (origin === null || !this.#allow(origin, fields)) return;
    fields.add("access-control-expose-headers", exposed(fields));
  }

  #allow(origin: string, fields: Fields): boolean {
    if (this.#origins.has(origin.toLowerCase())) {
      fields.add("access-control-allow-origin", origin);
      fields.add("access-control-allow-credentials", "true");
      return true;
    }
    if (this.#any) fields.add("access-control-allow-origin", "*");
    return this.#any;
  }
}

/** Metadata of gRPC is for whoever calls: every field that is not of HTTP itself. `*` would not hold with credentials. */
function exposed(fields: Fields): string {
  const names = new Set(["grpc-status", "grpc-message", "grpc-status-details-bin"]);
  for (let i = 0; i < fields.count; i++) {
    if (fields.ids[i] === REMOVED) continue;
    const name = fields.name(i);
    if (!NOT_EXPOSED.has(idOfText(name)) && !name.startsWith("access-control-")) names.add(name);
  }
  return [...names].join(", ");
}
