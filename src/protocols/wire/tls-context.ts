// What TLS is spoken with: contexts of the runtime, made of certificates that may change while connections are open. Those keep
// what they began with; handshakes that begin later get the new. Called by listeners, which update them, and by tls.ts.

import {
  createSecureContext,
  getCACertificates,
  rootCertificates,
  type SecureContext,
} from "node:tls";

import { normalizeHostName } from "../../l4/tls/server-name.ts";
import type {
  CertificateMaterial,
  ServerCertificates,
  TargetCertificates,
} from "../../shared/certificates.ts";
import type { TlsClientPlan, TlsServerPlan } from "../../shared/http-plan.ts";
import { bundles, ByName } from "./by-name.ts";

/** Of TLS 1.2: forward secrecy and authenticated encryption only (RFC 7540 appendix A forbids the rest). Of 1.3 all are. */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** The runtime's own, which its sockets take. */
export type NativeContext = object;

export function nativeOf(context: SecureContext): NativeContext {
  return context.context as NativeContext;
}

/** A listener's side. */
export class ServerTls {
  readonly plan: TlsServerPlan;
  #contexts!: ByName<NativeContext>;
  /** By what they are made of: of many certificates, one or two change at a time. */
  #made = new Map<string, NativeContext>();

  constructor(plan: TlsServerPlan, certificates: ServerCertificates) {
    this.plan = plan;
    this.update(certificates);
  }

  /** @throws Error of the runtime if they cannot be used, and changes nothing then. The control plane has checked them. */
  update({ certificates, clientCa }: ServerCertificates): void {
    const { minVersion, clientAuth } = this.plan;
    const common = {
      ciphers: CIPHERS,
      minVersion: `TLSv${minVersion}` as const,
      requestCert: clientAuth !== "none",
      rejectUnauthorized: clientAuth === "require",
      ...(clientCa === null ? {} : { ca: clientCa }),
    };
    const made = new Map<string, NativeContext>();
    const contextOf = (bundle: readonly CertificateMaterial[]): NativeContext => {
      const cert = bundle.map(({ chain }) => chain);
      const of = [clientCa ?? "", ...cert].join("\n");
      const key = bundle.map((each) => Buffer.from(each.key));
      const context = this.#made.get(of) ?? nativeOf(createSecureContext({ ...common, cert, key }));
      made.set(of, context);
      return context;
    };
    this.#contexts = new ByName(
      bundles(certificates).map((bundle) => ({
        names: bundle[0]!.names,
        context: contextOf(bundle),
      })),
    );
    this.#made = made;
  }

  /** Whether there is a certificate for this name. */
  covers(name: string): boolean {
    return this.#contexts.covers(name);
  }

  /** @param name as the client sent it; empty if it sent none. */
  contextFor(name: string): NativeContext {
    return this.#contexts.find(name);
  }
}

/** A target's side. */
export class ClientTls {
  /** What is asked for (SNI); empty for an IP address. */
  readonly serverName: string;
  /** What the certificate is verified for. */
  readonly verifiedName: string;
  readonly insecure: boolean;
  /** What the context is made of, for those who make their own (QUIC). */
  certificates!: TargetCertificates;
  #context!: NativeContext;
  /** Of the last connection, for the next. Of this context only: a session counts as verified by whoever made it. */
  session: Uint8Array | null = null;

  /** @param host of the target, as written: a name or an address; empty on a unix socket. */
  constructor(plan: TlsClientPlan, host: string, certificates: TargetCertificates) {
    this.verifiedName = plan.serverName ?? host;
    this.serverName = normalizeHostName(this.verifiedName) ?? "";
    this.insecure = plan.insecure;
    this.update(certificates);
  }

  /** As ServerTls.update. */
  update(certificates: TargetCertificates): void {
    this.certificates = certificates;
    const { ca, certificate } = certificates;
    const own =
      certificate === null ? {} : { cert: certificate.chain, key: Buffer.from(certificate.key) };
    const common = { ciphers: CIPHERS, minVersion: "TLSv1.2" as const };
    this.#context =
      ca === null && certificate === null
        ? (rootContext ??= nativeOf(createSecureContext({ ...common, ca: systemRoots() })))
        : nativeOf(createSecureContext({ ...common, ca: ca ?? systemRoots(), ...own }));
    this.session = null;
  }

  get context(): NativeContext {
    return this.#context;
  }
}

/** Reading a hundred and fifty roots takes milliseconds: once for all targets that need nothing else. */
let rootContext: NativeContext | null = null;

/** What the machine's administrator trusts; where that is not known, what the runtime brings. PEM. */
export function systemRoots(): string[] {
  const own = getCACertificates("system");
  return own.length > 0 ? own : [...rootCertificates];
}
