// Reads the head of an answer (RFC 9112 sections 4 to 6) into a ResponseHead, as strictly as requests are read where the length
// of the body depends on it: a backend that says two things is told from the next answer only by luck. Pure; taken from a pool
// by backend.ts when an answer's first byte comes, and given back with its head.

import { ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import { codingOf } from "./coding.ts";
import { type HeadLimits, HeadReader } from "./head-reader.ts";
import { CLASSES, CR, decimal, LF, octetsOf, SP, VALUE } from "./octets.ts";
import { MORE } from "./section-reader.ts";

const CONNECTION = idOf("connection");
const TRANSFER_ENCODING = idOf("transfer-encoding");
const UPGRADE = idOf("upgrade");
const CONTENT_LENGTH = idOf("content-length");
const HOST = idOf("host");

const VERSION = octetsOf("HTTP/1.1 ");
const MINOR = 7;
/** Of the version, the status and what follows it. */
const STATUS_LINE_MIN = VERSION.length + 4;

export class ResponseReader extends HeadReader<ResponseHead> {
  /** Of a 101: what it accepts, in lower case; empty without it. */
  upgrade = "";
  protected readonly lastOwn = CONTENT_LENGTH;
  #hasLength = false;

  constructor(limits: HeadLimits) {
    super(new ResponseHead(), limits);
  }

  override reset(): void {
    super.reset();
    this.#hasLength = false;
    this.upgrade = "";
  }

  protected override firstLine(
    bytes: Uint8Array,
    at: number,
    end: number,
    _origin: number,
  ): number {
    const available = Math.min(VERSION.length, end - at);
    for (let i = 0; i < available; i++) {
      const octet = bytes[at + i]!;
      const isMinor = i === MINOR && octet === 0x30;
      if (!isMinor && octet !== VERSION[i]) return this.refuse(502, "the status line is malformed");
    }
    if (end - at < STATUS_LINE_MIN) return MORE;
    const { head } = this;
    head.version = bytes[at + MINOR] === 0x30 ? 10 : 11;
    head.status = decimal(bytes, at + VERSION.length, at + VERSION.length + 3);
    if (head.status < 100 || head.status > 599) {
      return this.refuse(502, "the status is not one of HTTP's");
    }
    // The reason, which may be missing with the space before it, means nothing (RFC 9112 section 4).
    let p = at + VERSION.length + 3;
    if (bytes[p] !== SP && bytes[p] !== CR) return this.refuse(502, "the status line is malformed");
    while (p < end && (CLASSES[bytes[p]!]! & VALUE) !== 0) p++;
    if (p === end) return MORE;
    if (bytes[p] !== CR) return this.refuse(502, "the status line is malformed");
    if (p + 1 === end) return MORE;
    return bytes[p + 1] === LF ? p + 2 : this.refuse(502, "the status line is malformed");
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
      case CONNECTION:
        return this.#takeConnection(bytes, start, end, origin);
      case CONTENT_LENGTH:
        if (this.#hasLength) return this.no(502, "Content-Length came twice");
        this.#hasLength = true;
        this.head.contentLength = decimal(bytes, start, end);
        return this.head.contentLength >= 0 || this.no(502, "Content-Length is malformed");
      case TRANSFER_ENCODING:
        if (this.chunked) return this.no(502, "Transfer-Encoding came twice");
        this.chunked = true;
        return (
          codingOf(bytes, start, end) === 0 || this.no(502, "Transfer-Encoding is not chunked")
        );
      case UPGRADE:
        this.upgrade = Buffer.from(bytes.subarray(start, end)).toString("latin1").toLowerCase();
        return true;
      case HOST:
        this.fields.push(id, nameStart - origin, nameEnd - origin, start - origin, end - origin);
        return true;
      default: // Keep-Alive, Proxy-Connection, TE, HTTP2-Settings: of a connection
        return true;
    }
  }

  #takeConnection(bytes: Uint8Array, start: number, end: number, origin: number): boolean {
    const problem = this.options.take(bytes, start, end, origin, false);
    return problem === null || this.no(502, problem);
  }

  protected override finish(): boolean {
    const { head } = this;
    if (this.chunked && this.#hasLength)
      return this.no(502, "Content-Length beside Transfer-Encoding");
    if (this.chunked && head.version === 10)
      return this.no(502, "HTTP/1.0 has no Transfer-Encoding");
    if (!this.#hasLength) head.contentLength = UNKNOWN_LENGTH;
    this.applyOptions();
    return true;
  }

  /** A 101 that accepts what was asked for (RFC 9110 section 7.8). */
  accepts(upgrade: string): boolean {
    return upgrade !== "" && this.options.upgrade && this.upgrade === upgrade;
  }
}

/**
 * Whether an answer has no body, whatever its head says of one (RFC 9112 section 6.3).
 * @param method of the request.
 */
export function isBodyless(status: number, method: string): boolean {
  return status < 200 || status === 204 || status === 304 || method === "HEAD";
}
