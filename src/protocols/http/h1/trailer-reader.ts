// Reads trailers (RFC 9112 section 7.1.2). Fields that say where a message ends or goes, who may have it, or what its contents
// are have no meaning behind them (RFC 9110 section 6.5.1), and are dropped: whoever merged them with the head would be
// misled. Pure; made by the reader of chunks, for the few bodies that have any.

import { Fields } from "../message/fields.ts";
import { idOf } from "../message/names.ts";
import { SectionReader } from "./section-reader.ts";

/** Known fields that may stand in trailers; of those that are not known, all may. */
const ALLOWED = new Set(
  (["grpc-status", "grpc-message", "etag", "last-modified", "server", "link"] as const).map(idOf),
);

export class TrailerReader extends SectionReader {
  /** The largest number of a name: every known one is looked at. */
  protected readonly lastOwn = 254;

  constructor(maxBytes: number, maxFields: number) {
    super(new Fields(), maxBytes, maxFields, false);
  }

  protected override firstLine(): number {
    return this.refuse(400, "trailers have no first line");
  }

  protected override ownField(
    id: number,
    _bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    start: number,
    end: number,
    origin: number,
  ): boolean {
    if (!ALLOWED.has(id)) return true;
    this.fields.push(id, nameStart - origin, nameEnd - origin, start - origin, end - origin);
    return true;
  }

  protected override finish(): boolean {
    return true;
  }
}
