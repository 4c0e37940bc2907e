// What quiche and TLS say of failures, in words for the log. Called by connections and streams of this driver.

import { errnoOf, messageOf } from "../../../shared/errors.ts";
import { QuicError, type QuicErrorCode } from "../transport.ts";
import type { ConnectionError } from "./binding.ts";

/** RFC 9000 section 20.1: of TLS alerts. */
const CRYPTO_ERROR = 0x100;
const CRYPTO_ERROR_END = 0x1ff;
export const NO_APPLICATION_PROTOCOL = 0x178;
export const BAD_CERTIFICATE = 0x12a;
const CONNECTION_REFUSED = 0x02;
const PROTOCOL_VIOLATION = 0x0a;

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

export function closedByPeer(error: ConnectionError): QuicError {
  return describe("the peer closed the connection", error);
}

/** CONNECTION_REFUSED during a handshake is the peer's no. */
export function refusedByPeer(error: ConnectionError): QuicError {
  const { message, code, wireCode } = closedByPeer(error);
  const refused = !error.isApp && error.errorCode === CONNECTION_REFUSED;
  return refused
    ? new QuicError("ERR_QUIC_HANDSHAKE", message, wireCode)
    : new QuicError(code, message, wireCode);
}

/** quiche closed the connection over what the peer sent. */
export function closedHere(error: ConnectionError | null): QuicError {
  if (error === null) {
    return new QuicError("ERR_QUIC_PROTOCOL", "the peer broke the rules", PROTOCOL_VIOLATION);
  }
  const described = describe("the connection was closed", error);
  if (described.code === "ERR_QUIC_HANDSHAKE") return described;
  return new QuicError("ERR_QUIC_PROTOCOL", described.message, error.errorCode);
}
