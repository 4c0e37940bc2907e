// The head of a request and of an answer, in a form that is the same for every version of HTTP. Codecs fill them in and write
// them out; what stands between works on nothing else. They are used again: whoever keeps something of a head copies it.
//
// An upgrade (RFC 9110 section 7.8, extended CONNECT of RFC 8441 and RFC 9220) is told the way that HTTP/1.1 tells it, in every
// version: the method is GET, `upgrade` names the protocol, and status 101 accepts. h2 and h3 write and read it as CONNECT,
// :protocol and 200.

import { Fields } from "./fields.ts";

export type Version = 10 | 11 | 20 | 30;

/** The length of a body that is not known beforehand. */
export const UNKNOWN_LENGTH = -1;

export class RequestHead {
  readonly fields = new Fields();
  version: Version = 11;
  /** As it came: methods are case-sensitive. */
  method = "GET";
  scheme: "http" | "https" = "http";
  /** Range of fields.arena: Host or :authority, without userinfo; empty if HTTP/1.0 sent none. `host` is no field. */
  authorityStart = 0;
  authorityEnd = 0;
  /** Range of fields.arena: path and query (`/a?b`), or `*`; of a CONNECT empty. */
  pathStart = 0;
  pathEnd = 0;
  /** In lower case (`websocket`); empty without one. Connection and Upgrade are not among the fields. */
  upgrade = "";
  /** Of the body, by Content-Length (which is no field); 0: no body at all; UNKNOWN_LENGTH: the body's end will show. */
  contentLength = 0;
  /** The client waits for 100 before it sends the body. Expect is not among the fields. */
  expectsContinue = false;
  /** `TE: trailers` was there; no other TE is forwarded, and it is not among the fields. */
  takesTrailers = false;
  /** It came before the handshake was over (0-RTT), and may be somebody else's replay (RFC 8470). */
  early = false;

  clear(): void {
    this.fields.clear();
    this.version = 11;
    this.method = "GET";
    this.scheme = "http";
    this.authorityStart = this.authorityEnd = this.pathStart = this.pathEnd = 0;
    this.upgrade = "";
    this.contentLength = 0;
    this.expectsContinue = false;
    this.takesTrailers = false;
    this.early = false;
  }

  get authority(): string {
    return this.fields.text(this.authorityStart, this.authorityEnd);
  }

  set authority(text: string) {
    this.authorityStart = this.fields.appendText(text);
    this.authorityEnd = this.fields.used;
  }

  get path(): string {
    return this.fields.text(this.pathStart, this.pathEnd);
  }

  set path(text: string) {
    this.pathStart = this.fields.appendText(text);
    this.pathEnd = this.fields.used;
  }

  /** Replaces what is there by a copy of the other's. */
  copy(other: RequestHead): void {
    this.fields.copy(other.fields);
    this.version = other.version;
    this.method = other.method;
    this.scheme = other.scheme;
    this.authority = other.authority;
    this.path = other.path;
    this.upgrade = other.upgrade;
    this.contentLength = other.contentLength;
    this.expectsContinue = other.expectsContinue;
    this.takesTrailers = other.takesTrailers;
    this.early = other.early;
  }
}

export class ResponseHead {
  readonly fields = new Fields();
  version: Version = 11;
  /** 101 accepts an upgrade, in every version. */
  status = 200;
  /** Of the body, by Content-Length (which is not among the fields); UNKNOWN_LENGTH: the body's end will show. */
  contentLength = UNKNOWN_LENGTH;
  /**
   * No body follows, whatever contentLength says of it: an answer to HEAD, 204, 304, or a head that ended its stream. Where it
   * is set the head is the whole message.
   */
  bodyless = false;

  clear(): void {
    this.fields.clear();
    this.version = 11;
    this.status = 200;
    this.contentLength = UNKNOWN_LENGTH;
    this.bodyless = false;
  }
}
