// Certificates and keys as the control plane gives them to gateway workers: what was read from the files that a plan names, after
// it was checked. Plain data, for messages between threads.

/** One certificate with its chain and key. */
export interface CertificateMaterial {
  /** PEM, the certificate first, then its intermediates. */
  readonly chain: string;
  /** PEM of the private key, without encryption. See shared/secret.ts. */
  readonly key: ArrayBuffer;
  /** DNS names of subjectAltName, in lower case: `example.com`, `*.example.com`. */
  readonly names: readonly string[];
  /** `rsa`, `ec`, `ed25519`: certificates for the same names with keys of different kinds are shown as clients can take them. */
  readonly keyType: string;
}

/** What a listener shows its clients. */
export interface ServerCertificates {
  /** In the plan's order; the first is the default. Never empty. */
  readonly certificates: readonly CertificateMaterial[];
  /** PEM of the authorities of client certificates; null: none are asked for. */
  readonly clientCa: string | null;
}

/** What a target is trusted by, and shown. */
export interface TargetCertificates {
  /** Indexes into the plan: TargetSlot.group and .index. */
  readonly group: number;
  readonly index: number;
  /** PEM; null: the system's roots. */
  readonly ca: string | null;
  /** null: none is shown. */
  readonly certificate: CertificateMaterial | null;
}

/** Of one listener. */
export interface ListenerCertificates {
  /** null: clients come in clear. */
  readonly server: ServerCertificates | null;
  /** Of targets that are spoken to over TLS. */
  readonly targets: readonly TargetCertificates[];
}
