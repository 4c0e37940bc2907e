// What quiche and TLS say of failures, in words for the log. Called by connections and streams of this driver.

import { errnoOf, messageOf } from "../../../shared/errors.ts";
import { QuicError, type QuicErrorCode } from "../transport.ts";
import type { Connection, ConnectionError } from "./binding.ts";

/** RFC 9000 section 20.1: of TLS alerts. */
export const CRYPTO_ERROR = 0x100;
const CRYPTO_ERROR_END = 0x1ff;
export const NO_APPLICATION_PROTOCOL = 0x178;
export const BAD_CERTIFICATE = 0x12a;
const CONNECTION_REFUSED = 0x02;

/** TLS alerts (RFC 8446 section 6) by their numbers. */
const ALERTS: Readonly<Record<number, string>> = {
  40: "no parameters in common",
  42: "a bad certificate",
  43: "a certificate of an unsupported kind",
  44: "a revoked certificate",
  45: "an expired certificate",
  46: "a certificate that cannot be used",
  48: "a certificate of an authority that is not trusted",
  49: "access denied",
  70: "no TLS version in common",
  80: "an internal error",
  109: "a missing extension",
  112: "an unrecognized server name",
  116: "no client certificate",
  120: "no application protocol in common",
};

const WORDS: Readonly<Record<number, string>> = {
  0x01: "internal error",
  0x02: "connection refused",
  0x03: "flow control error",
  0x04: "stream limit error",
  0x05: "stream state error",
  0x06: "final size error",
  0x07: "frame encoding error",
  0x08: "transport parameter error",
  0x09: "connection id limit error",
  0x0a: "protocol violation",
  0x0b: "invalid token",
  0x0c: "application error",
  0x0d: "crypto buffer exceeded",
};

/** The number in `StreamReset(5)` and `StreamStopped(5)`; -1: there is none. */
export function codeIn(error: unknown): number {
  const digits = /\((\d+)\)/.exec(messageOf(error))?.[1];
  return digits === undefined ? -1 : Number(digits);
}

/** The runtime tells a socket's error handler also of what its other handlers throw: those are bugs of ours. */
export function passBugs(error: unknown): void {
  if (!/^E[A-Z0-9]+$/.test(errnoOf(error))) throw error;
}

/** @param whose "the peer closed the connection", "the connection was closed". */
function describe(whose: string, { isApp, errorCode, reason }: ConnectionError): QuicError {
  const said = Buffer.from(reason).toString();
  const more = said === "" ? "" : `: ${said}`;
  const make = (code: QuicErrorCode, why: string): QuicError =>
    new QuicError(code, `${whose} ${why}${more}`, errorCode);
  if (isApp) return make("ERR_QUIC_CLOSED", `with code ${errorCode}`);
  if (errorCode >= CRYPTO_ERROR && errorCode <= CRYPTO_ERROR_END) {
    const alert = errorCode - CRYPTO_ERROR;
    return make("ERR_QUIC_HANDSHAKE", `for ${ALERTS[alert] ?? `TLS alert ${alert}`}`);
  }
  const word = WORDS[errorCode] ?? `error ${errorCode}`;
  return make("ERR_QUIC_CLOSED", `with ${word}`);
}

/** CONNECTION_REFUSED during a handshake is the peer's no. */
function closedByPeer(error: ConnectionError, wasOpen: boolean): QuicError {
  const described = describe("the peer closed the connection", error);
  if (wasOpen || error.isApp || error.errorCode !== CONNECTION_REFUSED) return described;
  return new QuicError("ERR_QUIC_HANDSHAKE", described.message, CONNECTION_REFUSED);
}

/** quiche closed the connection over what the peer sent. */
function closedHere(error: ConnectionError): QuicError {
  const described = describe("the connection was closed", error);
  if (described.code === "ERR_QUIC_HANDSHAKE") return described;
  return new QuicError("ERR_QUIC_PROTOCOL", described.message, error.errorCode);
}

/** A call of quiche failed, and ended the connection. */
export function breakage(native: Connection, error: unknown): QuicError {
  const local = native.localError();
  if (local !== null) return closedHere(local);
  return new QuicError("ERR_QUIC_PROTOCOL", `the peer broke the rules: ${messageOf(error)}`);
}

/** @returns why a connection is over: null without an error; undefined: it is not over. */
export function endingOf(native: Connection, wasOpen: boolean): QuicError | null | undefined {
  if (!native.isDraining() && !native.isClosed()) return undefined;
  const peerError = native.peerError();
  if (peerError !== null) {
    return wasOpen && peerError.errorCode === 0 ? null : closedByPeer(peerError, wasOpen);
  }
  if (native.isTimedOut()) {
    return wasOpen ? null : new QuicError("ERR_QUIC_TIMEOUT", "the peer does not answer");
  }
  const local = native.localError();
  if (local !== null) return closedHere(local);
  return new QuicError("ERR_QUIC_CLOSED", "the peer knows the connection no more");
}
