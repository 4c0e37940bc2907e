// What the two sides of a handshake differ in: which context they have, what they agree to, and whom they refuse. One object for
// each handshake, made by tls.ts.

import type { TLSOptions } from "bun";

import type { ClientTls, NativeContext, ServerTls } from "./tls-context.ts";
import { type HandshakeError, nameError, type TlsError, verificationError } from "./tls-error.ts";
import type { TlsSocket } from "./tls-wire.ts";

export interface Checks {
  readonly isServer: boolean;
  /** What `upgradeTLS` is given. */
  readonly options: TLSOptions & { readonly secureContext: NativeContext };
  /** Before the first byte is sent. */
  opened(socket: TlsSocket): void;
  /** A ticket of a peer that was verified, for the next connection. */
  readonly keepSession: ((session: Uint8Array) => void) | null;
  /** @returns null for no other context than that of the options. */
  contextFor(name: string): NativeContext | null;
  /** @returns undefined to refuse. */
  protocolFor(offered: readonly string[]): string | false | undefined;
  /** The handshake is over. @param error of verification. @returns why the peer is refused; null if it is not. */
  verify(socket: TlsSocket, error: HandshakeError | null): TlsError | null;
  /** The peer showed a certificate, and it was verified. */
  readonly authorizes: boolean;
}

export class ServerChecks implements Checks {
  readonly isServer = true;
  readonly options: Checks["options"];
  readonly #tls: ServerTls;

  constructor(tls: ServerTls) {
    this.#tls = tls;
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

  contextFor(name: string): NativeContext {
    return this.#tls.contextFor(name);
  }

  /** RFC 7301 section 3.2: a client with which no protocol is in common is told so. */
  protocolFor(offered: readonly string[]): string | false | undefined {
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

export class ClientChecks implements Checks {
  readonly isServer = false;
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
