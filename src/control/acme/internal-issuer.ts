// The internal authority as an Issuer: signs, for any name, what no public authority signs for this machine. Nothing is
// proven and nobody is asked. Its certificates are signed by the root itself and live for a week. Called by the manager.

import { X509Certificate } from "node:crypto";

import { ProxyError } from "../../shared/errors.ts";
import { AUTHORITY_LIMITS } from "../../shared/limits.ts";
import { INTERNAL, openRoot, rootFiles } from "./internal-authority.ts";
import { IssueError } from "./issue-error.ts";
import type { IssuedCertificate, Issuer, IssueRequest } from "./issuer.ts";
import type { CertificateStorage } from "./storage.ts";
import { exportKey, makeKeys, signCertificate } from "./x509.ts";

/** RFC 5280 appendix A.1: ub-common-name. A longer name is in subjectAltName alone, which is where clients look. */
const COMMON_NAME_MAX = 64;

export class InternalIssuer implements Issuer {
  readonly name = INTERNAL;
  readonly #storage: CertificateStorage;
  readonly #now: () => number;
  readonly #leafMs: number;

  /** @param leafMs how long certificates hold. */
  constructor(
    storage: CertificateStorage,
    now: () => number = Date.now,
    leafMs: number = AUTHORITY_LIMITS.leafMs,
  ) {
    this.#storage = storage;
    this.#now = now;
    this.#leafMs = leafMs;
  }

  async issue(
    { names, keyType }: Pick<IssueRequest, "names" | "keyType">,
    signal: AbortSignal,
  ): Promise<IssuedCertificate> {
    const nowMs = this.#now();
    const root = await openRoot(this.#storage, nowMs, signal);
    const keys = await makeKeys(keyType);
    const first = names[0] ?? "";
    const contents = {
      subject: {
        organization: "bun-tunnel",
        commonName: first.length > COMMON_NAME_MAX ? null : first,
      },
      publicKey: keys.publicKey,
      names,
      notBeforeMs: nowMs - AUTHORITY_LIMITS.backdatedMs,
      notAfterMs: nowMs + this.#leafMs,
    };
    const chain = await signCertificate(contents, root.signer);
    const certificate = new X509Certificate(chain);
    if (
      !certificate.checkIssued(root.certificate) ||
      !certificate.verify(root.certificate.publicKey)
    ) {
      const { certificateFile, folder } = rootFiles(this.#storage.folder);
      throw new ProxyError("ERR_STORAGE", `${certificateFile} is not what this program made`, {
        cure: `Put it back from a backup, or remove ${folder}: a new authority is made then`,
      });
    }
    return { chain, key: await exportKey(keys) };
  }

  /** It has no opinion: two thirds of a lifetime are as good as any time. */
  async renewalWindow(): Promise<null> {
    return null;
  }

  /** Nobody asks an internal authority what it has revoked, so that it cannot. */
  async revoke(chain: string): Promise<void> {
    const { validToDate } = new X509Certificate(chain);
    const end = validToDate.toISOString().slice(0, 10);
    throw new IssueError(
      `the internal authority revokes no certificates, since no client would ask it; this one ends on ${end}`,
      { isFinal: true },
      {
        cure: "If its key was stolen, make the devices that trust the authority forget it (proxy trust)",
      },
    );
  }
}
