// What node:quic says went wrong, as errors of the seam. Pure. Called by the files beside this one.

import { QuicError } from "../transport.ts";

/** RFC 9000 section 20.1: CRYPTO_ERROR, with an alert of TLS in the low byte. */
const CRYPTO_ERROR = 0x100;
const CRYPTO_ERROR_END = 0x1ff;
const NO_ERROR = 0;

/** By alert (RFC 8446 section 6). */
const ALERTS: ReadonlyMap<number, string> = new Map([
  [42, "it refused our certificate"],
  [43, "it refused our certificate"],
  [46, "the certificate is not trusted"],
  [48, "the certificate is of an authority that is not trusted"],
  [116, "it asks for a client certificate"],
  [120, "it has no application protocol in common"],
]);

interface Raised {
  readonly code?: string;
  readonly message?: string;
  readonly errorCode?: bigint;
  readonly reason?: string;
  readonly type?: string;
}

/** How a connection ended. @returns null: without an error. */
export function connectionError(raised: unknown): QuicError | null {
  if (raised === undefined || raised === null) return null;
  const { code, message = "", errorCode, reason, type } = raised as Raised;
  const wireCode = errorCode === undefined ? -1 : Number(errorCode);
  if (code === "ERR_QUIC_APPLICATION_ERROR") {
    const said = reason === undefined || reason === "" ? "" : `: ${reason}`;
    const text = `it closed the connection with code ${wireCode}${said}`;
    return wireCode === NO_ERROR ? null : new QuicError("ERR_QUIC_CLOSED", text, wireCode);
  }
  if (/handshake timed out/.test(message)) {
    return new QuicError("ERR_QUIC_TIMEOUT", "no handshake in time", wireCode);
  }
  if (type === "transport" && wireCode >= CRYPTO_ERROR && wireCode <= CRYPTO_ERROR_END) {
    const text = ALERTS.get(wireCode - CRYPTO_ERROR) ?? `the handshake failed: ${message}`;
    return new QuicError("ERR_QUIC_HANDSHAKE", text, wireCode);
  }
  if (code === "ERR_QUIC_VERSION_NEGOTIATION_ERROR") {
    return new QuicError("ERR_QUIC_HANDSHAKE", "it has no version of QUIC in common");
  }
  if (code === "ERR_QUIC_TRANSPORT_ERROR") {
    return new QuicError("ERR_QUIC_PROTOCOL", message, wireCode);
  }
  return new QuicError("ERR_QUIC_NETWORK", message);
}

/** RESET_STREAM or STOP_SENDING of the peer. */
export function streamError(raised: unknown, what: string): QuicError {
  const { errorCode } = (raised ?? {}) as Raised;
  const wireCode = errorCode === undefined ? -1 : Number(errorCode);
  return new QuicError("ERR_QUIC_RESET", `${what} with code ${wireCode}`, wireCode);
}
