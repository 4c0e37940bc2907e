// What is done to the head of an answer on its way to the client, compiled for each route: the route's own edits, and Via. The
// request id is the backend's to return; Alt-Svc stays as it came.

import type { HttpRoutePlan } from "../../../shared/http-plan.ts";
import type { ResponseHead, Version } from "../message/heads.ts";
import { FieldBlock } from "./block.ts";
import { compileFieldEdit, type FieldEdit } from "./field-edit.ts";
import { Removal } from "./removal.ts";
import { viaField } from "./via.ts";

export class ResponseEdit {
  readonly #edit: FieldEdit;
  readonly #via: boolean;
  readonly #removal: Removal | null;
  /** By the version that an answer came in by. */
  readonly #blocks = new Map<Version, FieldBlock>();
  readonly #nothing: boolean;

  /** @throws ProxyError ERR_CONFIG for an edit that cannot be carried out. */
  constructor(plan: HttpRoutePlan) {
    this.#edit = compileFieldEdit(plan.response);
    const { replaced, fields } = this.#edit;
    this.#removal = replaced.size === 0 ? null : new Removal({ names: replaced, exact: true });
    this.#via = plan.forwarded.via && !replaced.has("via");
    this.#nothing = !this.#via && this.#removal === null && fields.length === 0;
  }

  applyTo(head: ResponseHead): void {
    if (this.#nothing) return;
    this.#removal?.applyTo(head.fields);
    let block = this.#blocks.get(head.version);
    if (block === undefined) {
      const via = this.#via ? [viaField(head.version)] : [];
      block = new FieldBlock([...via, ...this.#edit.fields]);
      this.#blocks.set(head.version, block);
    }
    block.appendTo(head.fields);
  }
}
