// What names are proven to certificate authorities with: the answers that clients of listeners are given while an authority may
// ask for them. Plain data, from the control plane to gateway workers, always the whole set.

/** RFC 8555 section 8.3: asked for by GET of `/.well-known/acme-challenge/TOKEN`. */
export interface Http01Answer {
  readonly type: "http-01";
  /** A name in lower case, or an IP address (RFC 8738). */
  readonly domain: string;
  /** base64url. */
  readonly token: string;
  readonly keyAuthorization: string;
}

/** RFC 8737: shown to a client that offers `acme-tls/1` and nothing else. */
export interface TlsAlpn01Answer {
  readonly type: "tls-alpn-01";
  /** The server name that is asked for: of an IP address its name for reverse lookups (RFC 8738 section 6). */
  readonly serverName: string;
  /** PEM of the certificate, and of its key. */
  readonly chain: string;
  readonly key: ArrayBuffer;
}

export type ChallengeAnswer = Http01Answer | TlsAlpn01Answer;

/** RFC 8737 section 6.2. */
export const ACME_TLS_1 = "acme-tls/1";
/** RFC 8555 section 8.3. */
export const HTTP_01_PATH = "/.well-known/acme-challenge/";
