// What is done to the head of an answer on its way to the client, compiled for each route: the route's own edits, and Via. The
// request id is the backend's to return. Alt-Svc stays as it came, unless the listener has its own.

import type { HttpRoutePlan } from "../../../shared/http-plan.ts";
import type { ResponseHead, Version } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import { FieldBlock } from "./block.ts";
import { compileFieldEdit, type FieldEdit } from "./field-edit.ts";
import { Removal } from "./removal.ts";
import { viaField } from "./via.ts";

const ALT_SVC = idOf("alt-svc");

export class ResponseEdit {
  readonly #edit: FieldEdit;
  readonly #via: boolean;
  readonly #removal: Removal | null;
  /** By the version that an answer came in by. */
  readonly #blocks = new Map<Version, FieldBlock>();
  readonly #nothing: boolean;
  readonly #announces: boolean;

  /** @throws ProxyError ERR_CONFIG for an edit that cannot be carried out. */
  constructor(plan: HttpRoutePlan) {
    this.#edit = compileFieldEdit(plan.response);
    const { replaced, fields } = this.#edit;
    this.#removal = replaced.size === 0 ? null : new Removal({ names: replaced, exact: true });
    this.#via = plan.forwarded.via && !replaced.has("via");
    this.#announces = !replaced.has("alt-svc");
    this.#nothing = !this.#via && this.#removal === null && fields.length === 0;
  }

  /** Of an answer that no target gave: nothing passed through here, and its route's own edits are all. */
  applyToOwn(head: ResponseHead): void {
    this.#removal?.applyTo(head.fields);
    new FieldBlock(this.#edit.fields).appendTo(head.fields);
  }

  /** @param altSvc to be told to the client; null: nothing of that. */
  applyTo(head: ResponseHead, altSvc: FieldBlock | null): void {
    if (altSvc !== null && this.#announces && head.status >= 200) {
      head.fields.removeAll(ALT_SVC);
      altSvc.appendTo(head.fields);
    }
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
