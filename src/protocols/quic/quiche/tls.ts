// What a handshake of quiche agreed upon, and whether that will do. Called by endpoints and by what connects.

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";

import { messageOf } from "../../../shared/errors.ts";
import { subjectOf } from "../../wire/tls-wire.ts";
import type { WireTls } from "../../wire/wire.ts";
import { QuicError } from "../transport.ts";
import type { Connection } from "./binding.ts";
import { BAD_CERTIFICATE, NO_APPLICATION_PROTOCOL } from "./errors.ts";

/** quiche goes on without a protocol in common (RFC 9001 section 8.1 does not). */
function noProtocol(): QuicError {
  const message = "there is no application protocol in common";
  return new QuicError("ERR_QUIC_HANDSHAKE", message, NO_APPLICATION_PROTOCOL);
}

/** @returns null: it is not over. */
export function agreedByClient(native: Connection): WireTls | QuicError | null {
  if (!native.isEstablished() && !native.isInEarlyData()) return null;
  const tls = describe(native, native.serverName() ?? "");
  if (tls.alpn === "") return noProtocol();
  const leaf = native.peerCertChain()?.[0];
  if (leaf === undefined) return tls;
  try {
    const certificate = new X509Certificate(leaf);
    const clientFingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
    return { ...tls, clientSubject: subjectOf(certificate.subject), clientFingerprint };
  } catch (error) {
    const message = `its certificate cannot be read: ${messageOf(error)}`;
    return new QuicError("ERR_QUIC_HANDSHAKE", message, BAD_CERTIFICATE);
  }
}

/**
 * BoringSSL has verified the chain, and the name where it was told one, which it is not told of an IP address.
 * @param serverName a name or an address.
 */
export function agreedByServer(
  native: Connection,
  serverName: string,
  insecure: boolean,
): WireTls | QuicError {
  const tls = describe(native, isIP(serverName) === 0 ? serverName : "");
  if (tls.alpn === "") return noProtocol();
  if (insecure || isIP(serverName) === 0) return tls;
  const leaf = native.peerCertChain()?.[0];
  const fits = leaf !== undefined && new X509Certificate(leaf).checkIP(serverName) !== undefined;
  if (fits) return tls;
  const message = `the certificate of the peer is not for ${serverName}`;
  return new QuicError("ERR_QUIC_HANDSHAKE", message, BAD_CERTIFICATE);
}

function describe(native: Connection, serverName: string): WireTls {
  return {
    alpn: Buffer.from(native.applicationProto()).toString("latin1"),
    serverName: serverName.toLowerCase(),
    version: "TLSv1.3", // QUIC has no other (RFC 9001 section 4.2)
    cipher: "",
    resumed: native.isResumed(),
    clientSubject: "",
    clientFingerprint: "",
  };
}
