// Reads the head of a request (RFC 9112 sections 2 to 6) into a RequestHead: what is of the connection or of framing becomes
// properties, the rest stays as fields. Whatever two readers could take for two different messages is refused. Pure; taken from
// REQUESTS by server.ts when a head's first byte comes, and kept until its exchange is over.

import { H1 } from "../../../shared/limits.ts";
import { RequestHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import { codingOf } from "./coding.ts";
import { type HeadLimits, HeadReader } from "./head-reader.ts";
import { LIST } from "./list.ts";
import {
  all,
  CLASSES,
  CR,
  decimal,
  isAuthority,
  isText,
  LF,
  octetsOf,
  SP,
  TARGET,
  TOKEN,
} from "./octets.ts";
import * as line from "./request-line.ts";
import { MORE, UNANSWERED } from "./section-reader.ts";

const CONNECTION = idOf("connection");
const TRANSFER_ENCODING = idOf("transfer-encoding");
const UPGRADE = idOf("upgrade");
const TE = idOf("te");
const HOST = idOf("host");
const CONTENT_LENGTH = idOf("content-length");
const TRAILER = idOf("trailer");
const EXPECT = idOf("expect");

const CONTINUE = octetsOf("100-continue");
const TRAILERS = octetsOf("trailers");

export class RequestReader extends HeadReader<RequestHead> {
  protected readonly lastOwn = EXPECT;
  #form = line.ORIGIN_FORM;
  /** Of the target, and of Host and Upgrade: relative to the section; -1: there was none. */
  #targetStart = 0;
  #targetEnd = 0;
  #hostStart = -1;
  #hostEnd = 0;
  #upgradeStart = -1;
  #upgradeEnd = 0;
  /** -1: there was none. */
  #contentLength = -1;

  constructor(limits: HeadLimits) {
    super(new RequestHead(), limits);
  }

  override reset(): void {
    super.reset();
    this.#hostStart = this.#upgradeStart = this.#contentLength = -1;
    this.#targetEnd = 0;
  }

  /** Nothing came but the empty line that some clients send behind a body (RFC 9112 section 2.2). */
  get isBlank(): boolean {
    return this.held <= 2 && (this.held === 0 || this.fields.arena[0] === CR);
  }

  /** Of a head that is refused, or late: what the log can say of it. */
  understood(): { version: number; method: string; host: string; path: string } {
    const { head, fields } = this;
    const text = (start: number, end: number): string =>
      fields.text(start, Math.min(end, fields.used));
    const isRead = this.#targetEnd > 0;
    return {
      version: head.version,
      method: isRead ? head.method : "",
      host: this.#hostStart < 0 ? "" : text(this.#hostStart, this.#hostEnd),
      path: isRead ? text(this.#targetStart, this.#targetEnd) : "",
    };
  }

  protected override firstLine(bytes: Uint8Array, at: number, end: number, origin: number): number {
    if (bytes[at] === CR) {
      if (at + 1 === end) return MORE;
      if (bytes[at + 1] !== LF) return this.refuse(400, "the request line is malformed");
      at += 2;
    }
    let p = at;
    while (p < end && (CLASSES[bytes[p]!]! & TOKEN) !== 0) p++;
    if (p === end) return MORE;
    if (p === at || bytes[p] !== SP) return this.refuse(400, "the method is malformed");
    if (p - at > H1.methodMaxBytes) return this.refuse(501, "the method is too long");
    const methodEnd = p++;
    const target = p;
    while (p < end && (CLASSES[bytes[p]!]! & TARGET) !== 0) p++;
    if (p === end) return MORE;
    if (p === target || bytes[p] !== SP) return this.refuse(400, "the request target is malformed");
    const version = line.versionOf(bytes, p + 1, end);
    if (version === MORE) return MORE;
    if (version === line.OTHER_VERSION) return this.refuse(505, "the version is not HTTP/1.1");
    if (version === line.BAD_VERSION) {
      const named = line.namesProtocol(bytes, p + 1, end);
      if (named === MORE) return MORE;
      return this.refuse(named === 1 ? 400 : UNANSWERED, "the request line is malformed");
    }
    const { head } = this;
    head.version = version as 10 | 11;
    head.method = line.methodOf(bytes, at, methodEnd);
    this.#form = line.formOf(head.method, bytes, target, p);
    if (this.#form === line.BAD_TARGET) {
      return this.refuse(400, "the request target is malformed");
    }
    this.#targetStart = target - origin;
    this.#targetEnd = p - origin;
    return p + 11; // SP, the version, CRLF
  }

  protected override ownField(
    id: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    start: number,
    end: number,
    origin: number,
  ): boolean {
    switch (id) {
      case HOST:
        return this.#takeHost(bytes, start, end, origin);
      case CONNECTION:
        return this.#takeConnection(bytes, start, end, origin);
      case CONTENT_LENGTH:
        return this.#takeContentLength(bytes, start, end);
      case TRANSFER_ENCODING:
        return this.#takeTransferEncoding(bytes, start, end);
      case EXPECT:
        if (this.head.version === 10) return true; // RFC 9110 section 10.1.1
        this.head.expectsContinue = true;
        return isText(bytes, start, end, CONTINUE) || this.no(417, "an expectation is not known");
      case TE:
        if (takesTrailers(bytes, start, end)) this.head.takesTrailers = true;
        return true;
      case UPGRADE:
        // Two offers, or a list: none is taken up, as RFC 9110 section 7.8 allows.
        this.#upgradeStart = this.#upgradeStart === -1 ? start - origin : -2;
        this.#upgradeEnd = end - origin;
        return true;
      case TRAILER:
        this.fields.push(id, nameStart - origin, nameEnd - origin, start - origin, end - origin);
        return true;
      default: // Keep-Alive, Proxy-Connection, HTTP2-Settings: of a connection
        return true;
    }
  }

  #takeHost(bytes: Uint8Array, start: number, end: number, origin: number): boolean {
    if (this.#hostStart >= 0) return this.no(400, "Host came twice");
    if (!isAuthority(bytes, start, end)) return this.no(400, "Host is malformed");
    this.#hostStart = start - origin;
    this.#hostEnd = end - origin;
    return true;
  }

  #takeConnection(bytes: Uint8Array, start: number, end: number, origin: number): boolean {
    const problem = this.options.take(bytes, start, end, origin, true);
    return problem === null || this.no(400, problem);
  }

  #takeContentLength(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#contentLength >= 0) return this.no(400, "Content-Length came twice");
    this.#contentLength = decimal(bytes, start, end);
    return this.#contentLength >= 0 || this.no(400, "Content-Length is malformed");
  }

  #takeTransferEncoding(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.chunked) return this.no(400, "Transfer-Encoding came twice");
    const status = codingOf(bytes, start, end);
    if (status !== 0) return this.no(status, "Transfer-Encoding is not chunked");
    this.chunked = true;
    return true;
  }

  protected override finish(): boolean {
    const { head, options } = this;
    if (this.chunked) {
      if (head.version === 10) return this.no(400, "HTTP/1.0 has no Transfer-Encoding");
      if (this.#contentLength >= 0) {
        return this.no(400, "Content-Length beside Transfer-Encoding");
      }
      head.contentLength = UNKNOWN_LENGTH;
    } else head.contentLength = Math.max(0, this.#contentLength);
    if (head.contentLength === 0) head.expectsContinue = false;
    this.applyOptions();
    if (!this.#setTarget()) return false;
    if (this.#upgradeStart >= 0 && options.upgrade) this.#setUpgrade();
    return true;
  }

  #setTarget(): boolean {
    const { head } = this;
    if (this.#hostStart < 0 && head.version === 11) return this.no(400, "Host is missing");
    head.authorityStart = Math.max(0, this.#hostStart);
    head.authorityEnd = this.#hostStart < 0 ? 0 : this.#hostEnd;
    head.pathStart = this.#targetStart;
    head.pathEnd = this.#targetEnd;
    if (this.#form === line.ABSOLUTE_FORM) this.#setAbsolute();
    else if (this.#form === line.AUTHORITY_FORM) {
      // RFC 9110 section 9.3.6: a request without content, and what follows is not for HTTP.
      if (head.contentLength !== 0) return this.no(400, "CONNECT has content");
      head.authorityStart = this.#targetStart;
      head.authorityEnd = this.#targetEnd;
      head.pathStart = head.pathEnd = this.#targetEnd;
    }
    return true;
  }

  /** RFC 9112 section 3.2.2: the target's authority is that of the request, whatever Host says. */
  #setAbsolute(): void {
    const { head, fields } = this;
    const { arena } = fields;
    const start = line.authorityStart(arena, this.#targetStart, this.#targetEnd);
    const end = line.authorityEnd(arena, start, this.#targetEnd);
    head.authorityStart = start;
    head.authorityEnd = end;
    head.pathStart = end;
    if (end < this.#targetEnd && arena[end] === 0x2f) return;
    // RFC 9112 sections 3.2.1 and 3.2.4: an empty path is `/`, of OPTIONS without a query `*`.
    const isAsterisk = head.method === "OPTIONS" && end === this.#targetEnd;
    head.pathStart = fields.appendText(isAsterisk ? "*" : "/");
    fields.append(fields.arena, end, this.#targetEnd);
    head.pathEnd = fields.used;
  }

  /**
   * GET without content asks for one protocol, which is not another HTTP or TLS: those would be spoken past this proxy. An
   * Upgrade that is not taken up is ignored.
   */
  #setUpgrade(): void {
    const { head, fields } = this;
    const start = this.#upgradeStart;
    const end = this.#upgradeEnd;
    if (head.version === 10 || head.method !== "GET" || head.contentLength !== 0) return;
    let slashes = 0;
    for (let i = start; i < end; i++) {
      if (fields.arena[i] === 0x2f) slashes++;
      else if (!all(fields.arena, i, i + 1, TOKEN)) return;
    }
    if (start === end || slashes > 1) return;
    const name = fields.text(start, end).toLowerCase();
    if (!/^(h2|http|tls|quic)/.test(name)) head.upgrade = name;
  }
}

/** Whether one of the codings is `trailers` (RFC 9110 section 10.1.4). */
function takesTrailers(bytes: Uint8Array, start: number, end: number): boolean {
  for (LIST.begin(bytes, start, end); LIST.next();) {
    if (isText(bytes, LIST.start, LIST.end, TRAILERS)) return true;
  }
  return false;
}
