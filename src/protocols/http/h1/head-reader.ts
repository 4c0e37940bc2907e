// What readers of requests and of answers have in common: what is said of the connection, and of how the body is framed. Pure;
// extended by request-reader.ts and response-reader.ts.

import type { RequestHead, ResponseHead } from "../message/heads.ts";
import { ConnectionOptions } from "./connection-options.ts";
import { SectionReader } from "./section-reader.ts";

export interface HeadLimits {
  readonly headBytes: number;
  readonly headFields: number;
}

export abstract class HeadReader<Head extends RequestHead | ResponseHead> extends SectionReader {
  readonly head: Head;
  /** Whoever sent it would go on with this connection (RFC 9112 section 9.3). */
  keepAlive = false;
  /** The body is chunked. */
  chunked = false;
  protected readonly options = new ConnectionOptions();

  constructor(head: Head, { headBytes, headFields }: HeadLimits) {
    super(head.fields, headBytes, headFields, true);
    this.head = head;
  }

  override reset(): void {
    super.reset();
    this.head.clear();
    this.options.reset();
    this.keepAlive = this.chunked = false;
  }

  /** @returns false, as readers of fields do for what is refused. */
  protected no(status: number, message: string): boolean {
    this.refuse(status, message);
    return false;
  }

  /** The section is whole: what Connection says holds. */
  protected applyOptions(): void {
    const { options } = this;
    this.keepAlive = !options.close && (this.head.version === 11 || options.keepAlive);
    options.apply(this.fields);
  }
}
