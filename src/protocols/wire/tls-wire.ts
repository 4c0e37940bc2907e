// A wire over TLS: a socket of the runtime that encrypts, after its handshake. Made by tls.ts; what differs from a wire in clear
// is how it is reset, and that a stream that was cut off is no end.

import type { X509Certificate } from "node:crypto";

import type { Socket } from "bun";

import type { SocketEvents } from "../../engine/bun/connection.ts";
import { resetAtClose, takesBytes } from "../../engine/bun/dial.ts";
import type { Peer } from "../live-rows.ts";
import { fdOf, PlainWire } from "./plain-wire.ts";
import type { StreamTail } from "./tls-end.ts";
import { truncation } from "./tls-error.ts";
import type { Watermarks, WireTls } from "./wire.ts";

export type TlsSocket = Socket<SocketEvents>;

/** Turns of the event loop until the runtime has handed on what it holds for a socket that has room. */
const LOOKS = 2;

export class TlsWire extends PlainWire {
  override readonly tls: WireTls;
  /** Takes tickets of the peer; null: nobody wants them. */
  readonly keepSession: ((session: Uint8Array) => void) | null;
  readonly #tail: StreamTail | null;
  /** How often in a row there was room for an end. */
  #looks = 0;

  /** @param tail fed with the peer's encrypted bytes; null: a stream that was cut off is an end like any other. */
  constructor(
    socket: TlsSocket,
    peer: Peer,
    marks: Watermarks,
    tls: WireTls,
    tail: StreamTail | null,
    keepSession: ((session: Uint8Array) => void) | null,
  ) {
    super(peer, marks);
    this.keepSession = keepSession;
    this.socket = socket;
    this.tls = tls;
    this.#tail = tail;
  }

  override reset(): void {
    resetAtClose(fdOf(this.socket!));
    super.reset();
  }

  /** The runtime decrypts what it has read. */
  protected override get canSip(): boolean {
    return false;
  }

  override receiveFin(): void {
    if (this.#tail === null || this.#tail.isAlert) return super.receiveFin();
    this.close(truncation());
    resetAtClose(fdOf(this.socket!));
    this.socket!.terminate();
  }

  /**
   * The runtime drops a close_notify for which the socket has no room, and sends FIN. It does not tell when there is room, nor of
   * encrypted bytes that it holds itself: those are gone if there still is room some turns of the event loop later.
   */
  protected override whenToEnd(): "now" | "next turn" | "later" {
    if (!takesBytes(fdOf(this.socket!))) {
      this.#looks = 0;
      return "later";
    }
    return ++this.#looks > LOOKS ? "now" : "next turn";
  }

  /** Both have sent close_notify. A peer that sends no FIN after that would keep the socket. */
  protected override bothEnded(): void {
    this.socket!.end();
  }

  override close(error: (Error & { code?: string }) | undefined): void {
    const cut = error === undefined && this.#tail?.isAlert === false;
    super.close(cut ? truncation() : error);
  }
}

/** What a handshake agreed upon, asked once: the socket says nothing any more when it is closed. */
export function describe(socket: TlsSocket, authorized: boolean): WireTls {
  const certificate = authorized ? socket.getPeerX509Certificate() : undefined;
  return {
    alpn: (socket as { alpnProtocol?: string | false }).alpnProtocol || "",
    serverName: (socket.getServername() ?? "").toLowerCase(),
    version: socket.getTLSVersion(),
    cipher: (socket.getCipher() as unknown as { standardName: string }).standardName,
    resumed: socket.isSessionReused(),
    ...certificateNames(certificate),
  };
}

/** Of a client's certificate that was verified. */
export function certificateNames(
  certificate: X509Certificate | undefined,
): Pick<WireTls, "clientSubject" | "clientFingerprint"> {
  return {
    clientSubject: certificate === undefined ? "" : subjectOf(certificate.subject),
    clientFingerprint: certificate?.fingerprint256.replaceAll(":", "").toLowerCase() ?? "",
  };
}

/** RFC 4514: the last attribute comes first. @param lines as the runtime has it, one line each, values escaped as there. */
export function subjectOf(lines: string): string {
  return lines.split("\n").toReversed().join(",");
}
