// Certificates and keys as the control plane gives them to gateway workers: what was read from the files that a plan names, after
// it was checked. Plain data, for messages between threads.

import type { Secret } from "./secret.ts";

/** One certificate with its chain and key. `Key` is a Secret wherever it is kept, and an ArrayBuffer on its way. */
export interface CertificateMaterial<Key = ArrayBuffer> {
  /** PEM, the certificate first, then its intermediates. */
  readonly chain: string;
  /** PEM of the private key, without encryption. */
  readonly key: Key;
  /** DNS names of subjectAltName, in lower case: `example.com`, `*.example.com`. */
  readonly names: readonly string[];
  /** `rsa`, `ec`, `ed25519`: certificates for the same names with keys of different kinds are shown as clients can take them. */
  readonly keyType: string;
}

/** What a listener shows its clients. */
export interface ServerCertificates<Key = ArrayBuffer> {
  /** In the plan's order; the first is the default. Never empty. */
  readonly certificates: readonly CertificateMaterial<Key>[];
  /** PEM of the authorities of client certificates; null: none are asked for. */
  readonly clientCa: string | null;
  /** Of quic: what every client must show; null or missing: nothing. */
  readonly token?: Key | null;
}

/** What a target is trusted by, and shown. */
export interface TargetCertificates<Key = ArrayBuffer> {
  /** Indexes into the plan: TargetSlot.group and .index. */
  readonly group: number;
  readonly index: number;
  /** PEM; null: the system's roots. */
  readonly ca: string | null;
  /** null: none is shown. */
  readonly certificate: CertificateMaterial<Key> | null;
  /** Of a quic:// target: what it asks for; null or missing: nothing is shown. */
  readonly token?: Key | null;
}

/** Of one listener. */
export interface ListenerCertificates<Key = ArrayBuffer> {
  /** null: clients come in clear. */
  readonly server: ServerCertificates<Key> | null;
  /** Of targets that are spoken to over TLS. */
  readonly targets: readonly TargetCertificates<Key>[];
}

/** As it is kept. */
export type KeptCertificates = ListenerCertificates<Secret>;

/** For the way to a worker. */
export function revealed({ server, targets }: KeptCertificates): ListenerCertificates {
  const reveal = (kept: CertificateMaterial<Secret>): CertificateMaterial => ({
    ...kept,
    key: kept.key.reveal(),
  });
  return {
    server: server && {
      ...server,
      certificates: server.certificates.map(reveal),
      token: server.token?.reveal() ?? null,
    },
    targets: targets.map((target) => ({
      ...target,
      token: target.token?.reveal() ?? null,
      certificate: target.certificate && reveal(target.certificate),
    })),
  };
}
