// What the two sides of a handshake differ in: which context they have, what they agree to, and whom they refuse. One object for
// each handshake, made by tls.ts.

import type { TLSOptions } from "bun";

import { normalizeHostName } from "../../l4/tls/server-name.ts";
import { ACME_TLS_1 } from "../../shared/challenges.ts";
import type { Waiter, WantedNames } from "../wanted-names.ts";
import type { ClientTls, NativeContext, ServerTls } from "./tls-context.ts";
import { type HandshakeError, nameError, TlsError, verificationError } from "./tls-error.ts";
import type { HelloBytes } from "./tls-tap.ts";
import type { TlsSocket } from "./tls-wire.ts";

/** Of a context: it is to be waited for. */
export const LATER = Symbol("later");
export type Choice = NativeContext | typeof LATER | TlsError;

/** What handshakes of a listener are looked at for, besides its certificates. */
export interface ServerExtras {
  /** null: nothing is pending now. */
  readonly hello: HelloBytes | null;
  readonly challenges: TlsChallenges | null;
  /** null: certificates are not asked for at handshakes. */
  readonly wanted: WantedNames | null;
}

/** Of certificate authorities (challenge-answers.ts). */
export interface TlsChallenges {
  readonly hasTls: boolean;
  contextFor(serverName: string): NativeContext | null;
  watch(changed: () => void): () => void;
}

export interface Checks {
  readonly isServer: boolean;
  /** What `upgradeTLS` is given. */
  readonly options: TLSOptions & { readonly secureContext: NativeContext };
  /** Before the first byte is sent. */
  opened(socket: TlsSocket): void;
  /** A ticket of a peer that was verified, for the next connection. */
  readonly keepSession: ((session: Uint8Array) => void) | null;
  /**
   * @param handshake that waits, if LATER is returned.
   * @returns null for no other context than that of the options; LATER: it will be told; an error: it is refused.
   */
  contextFor(name: string, socket: TlsSocket, handshake: Waiter): Choice | null;
  /** The handshake is over, however, or does not wait any more. */
  leave(handshake: Waiter): void;
  /** @returns undefined to refuse. */
  protocolFor(offered: readonly string[]): string | false | undefined;
  /** The handshake is over. @param error of verification. @returns why the peer is refused; null if it is not. */
  verify(socket: TlsSocket, error: HandshakeError | null): TlsError | null;
  /** It was an authority's look at us: nothing follows the handshake (RFC 8737 section 3). */
  readonly isChallenge: boolean;
  /** The peer showed a certificate, and it was verified. */
  readonly authorizes: boolean;
}

export class ServerChecks implements Checks {
  readonly isServer = true;
  readonly options: Checks["options"];
  readonly #tls: ServerTls;
  readonly #extras: ServerExtras;
  isChallenge = false;
  /** A name whose certificate is waited for. */
  #wanted: string | null = null;

  constructor(tls: ServerTls, extras: ServerExtras) {
    this.#tls = tls;
    this.#extras = extras;
    const { clientAuth } = tls.plan;
    this.options = {
      secureContext: tls.contextFor(""),
      requestCert: clientAuth !== "none",
      rejectUnauthorized: clientAuth === "require",
    };
  }

  get authorizes(): boolean {
    return this.#tls.plan.clientAuth !== "none";
  }

  readonly keepSession = null;

  opened(): void {}

  contextFor(name: string, socket: TlsSocket, handshake: Waiter): Choice {
    const { challenges, wanted, hello } = this.#extras;
    const host = normalizeHostName(name);
    const special = host === null ? null : (challenges?.contextFor(host) ?? null);
    if (special !== null && hello?.isChallenge() === true) {
      this.isChallenge = true;
      (socket as VerifyingSocket).setVerifyMode(false, false);
      return special;
    }
    const mayWait = wanted !== null && host !== null && this.#wanted === null;
    if (!mayWait || this.#tls.covers(host)) return this.#tls.contextFor(name);
    const refused = wanted.wait(host, handshake);
    if (refused !== null) return new TlsError("ERR_TLS_UNRECOGNIZED_NAME", refused);
    this.#wanted = host;
    return LATER;
  }

  leave(handshake: Waiter): void {
    if (this.#wanted !== null) this.#extras.wanted?.leave(this.#wanted, handshake);
  }

  /** RFC 7301 section 3.2: a client with which no protocol is in common is told so. */
  protocolFor(offered: readonly string[]): string | false | undefined {
    if (this.isChallenge) return ACME_TLS_1;
    const { alpn } = this.#tls.plan;
    return alpn.length === 0 ? false : alpn.find((protocol) => offered.includes(protocol));
  }

  /** The runtime leaves it to us what becomes of a certificate that does not verify, also when one is required. */
  verify(socket: TlsSocket, error: HandshakeError | null): TlsError | null {
    if (!this.authorizes || error === null) return null;
    const isMissing = socket.getPeerX509Certificate() === undefined;
    return isMissing && this.#tls.plan.clientAuth === "request" ? null : verificationError(error);
  }
}

/** With what the runtime's typings leave out. */
type VerifyingSocket = TlsSocket & {
  setVerifyMode(requestCert: boolean, rejectUnauthorized: boolean): void;
};

export class ClientChecks implements Checks {
  readonly isServer = false;
  readonly isChallenge = false;
  readonly authorizes = false;
  readonly options: Checks["options"];
  readonly #tls: ClientTls;

  constructor(tls: ClientTls, alpn: readonly string[]) {
    this.#tls = tls;
    this.options = {
      secureContext: tls.context,
      requestCert: true,
      rejectUnauthorized: false, // `verify` decides, and says why
      ...(tls.serverName === "" ? {} : { serverName: tls.serverName }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: encodeProtocols(alpn) }),
    };
  }

  opened(socket: TlsSocket): void {
    const { session } = this.#tls;
    if (session !== null) socket.setSession(session);
  }

  readonly keepSession = (session: Uint8Array): void => {
    if (this.options.secureContext === this.#tls.context) this.#tls.session = session;
  };

  contextFor(): null {
    return null;
  }

  leave(): void {}

  protocolFor(): undefined {
    return undefined;
  }

  verify(socket: TlsSocket, error: HandshakeError | null): TlsError | null {
    if (this.#tls.insecure) return null;
    if (error !== null) return verificationError(error);
    const certificate = socket.getPeerX509Certificate();
    const { verifiedName, serverName } = this.#tls;
    const fits =
      serverName === ""
        ? certificate?.checkIP(verifiedName.replace(/^\[|\]$/g, ""))
        : certificate?.checkHost(serverName, { subject: "never" });
    return fits === undefined ? nameError(verifiedName, certificate?.subjectAltName ?? "") : null;
  }
}

/** RFC 7301 section 3.1. */
function encodeProtocols(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => Buffer.from([name.length, ...Buffer.from(name)])));
}

export function decodeProtocols(wire: Uint8Array): string[] {
  const names: string[] = [];
  for (let at = 0; at < wire.length; at += 1 + wire[at]!) {
    names.push(Buffer.from(wire.subarray(at + 1, at + 1 + wire[at]!)).toString("latin1"));
  }
  return names;
}
