// What went wrong with TLS, in words for the log. OpenSSL's names of errors are kept as codes; where a code says little to people
// (an HTTP request on a TLS port), the message says what it means. Called by tls.ts.

/** A handshake that failed, or a peer that broke the rules of TLS. Not: a socket that failed below. */
export class TlsError extends Error {
  override readonly name = "TlsError";
  /** `CERT_HAS_EXPIRED`, `ERR_TLS_CERT_ALTNAME_INVALID`, `EPROTO`, `ERR_TLS_TRUNCATED`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** By what OpenSSL and BoringSSL call a failed verification. */
const VERIFICATIONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  CERT_REVOKED: "its certificate is revoked",
  CERT_UNTRUSTED: "its certificate is not trusted",
  CERT_SIGNATURE_FAILURE: "the signature of its certificate is wrong",
  CERT_CHAIN_TOO_LONG: "its chain of certificates is too long",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed and not among the trusted ones",
  INVALID_CA: "a certificate of its chain may not sign others",
  INVALID_PURPOSE: "its certificate is for another purpose",
  SELF_SIGNED_CERT_IN_CHAIN: "its chain ends at a certificate authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate is of an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is of an authority that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is of an authority that is not trusted, or intermediate certificates are missing",
};

/** By the reason at the end of BoringSSL's text. Of either side. */
const REASONS: Readonly<Record<string, string>> = {
  HTTP_REQUEST: "it sent an HTTP request in clear",
  HTTPS_PROXY_REQUEST: "it sent an HTTP request in clear",
  WRONG_VERSION_NUMBER: "it does not speak TLS",
  UNSUPPORTED_PROTOCOL: "it has no TLS version in common",
  NO_SHARED_CIPHER: "it has no cipher in common",
  NO_APPLICATION_PROTOCOL: "it has no application protocol in common",
  PEER_DID_NOT_RETURN_A_CERTIFICATE: "it sent no certificate",
  TLSV1_ALERT_PROTOCOL_VERSION: "it refused the TLS version",
  TLSV1_ALERT_UNKNOWN_CA: "it does not know the authority of our certificate",
  SSLV3_ALERT_HANDSHAKE_FAILURE: "it refused the handshake",
  SSLV3_ALERT_BAD_CERTIFICATE: "it refused our certificate",
  SSLV3_ALERT_CERTIFICATE_UNKNOWN: "it refused our certificate",
  SSLV3_ALERT_CERTIFICATE_EXPIRED: "our certificate has expired, it says",
  // An alert of TLS 1.3 in clear, as OpenSSL sends it before it has keys of its own to send it with.
  BAD_PACKET_LENGTH: "it broke off, as clients do that do not trust our certificate",
  TLSV1_ALERT_CERTIFICATE_REQUIRED: "it asks for a client certificate",
  TLSV1_CERTIFICATE_REQUIRED: "it asks for a client certificate",
};

/** What the runtime says of a handshake. */
export interface HandshakeError {
  readonly code?: string;
  readonly message?: string;
}

/** The peer's certificate did not verify. */
export function verificationError({ code = "", message = "" }: HandshakeError): TlsError {
  return new TlsError(code || "EPROTO", VERIFICATIONS[code] ?? (message || code));
}

/** The handshake itself broke off. */
export function handshakeError(error: HandshakeError | null | undefined): TlsError {
  const { code = "EPROTO", message = "" } = error ?? {};
  const reason = /:([A-Z0-9_]+)$/.exec(message)?.[1] ?? "";
  const meaning = REASONS[reason] ?? (reason === "" ? message : reason);
  return new TlsError(code, meaning || "the handshake failed");
}

/** The peer left during the handshake: no fault of TLS, and what probes of a port do. */
export function departure(): Error & { code: string } {
  return Object.assign(new Error("it left during the handshake"), { code: "ECONNRESET" });
}

/** @param names what the certificate is for. */
export function nameError(wanted: string, names: string): TlsError {
  const own = names === "" ? "no name" : names;
  return new TlsError(
    "ERR_TLS_CERT_ALTNAME_INVALID",
    `its certificate is for ${own}, not ${wanted}`,
  );
}

export function handshakeTimeout(timeoutMs: number): TlsError {
  return new TlsError("ETIMEDOUT", `no handshake within ${timeoutMs} ms`);
}

/** RFC 8446 section 6.1: without close_notify nobody knows whether what came is all that was sent. */
export function truncation(): TlsError {
  return new TlsError("ERR_TLS_TRUNCATED", "the connection was closed without close_notify");
}
