// The internal authority's root: a key and a certificate that signs itself, in the folder `authorities/internal` of the
// storage. Made once; people trust it on their devices (`proxy trust`).
//
// Invariant: the key never changes while there is a root certificate, since all that devices trust is signed by it. Called by
// the internal issuer and by `proxy trust`.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";

import { messageOf, ProxyError } from "../../shared/errors.ts";
import { AUTHORITY_LIMITS } from "../../shared/limits.ts";
import type { CertificateStorage } from "./storage.ts";
import { makeFolder, readWhole, removeDrafts, writeWhole } from "./storage/files.ts";
import { exportKey, importKeys, makeKeys, signCertificate, type Signer } from "./x509.ts";

export const INTERNAL = "internal";
const ORGANIZATION = "bun-tunnel";

/** Where it is kept. Only `certificateFile` may leave the machine. */
export interface RootFiles {
  readonly folder: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** @param storage AutoTlsPlan.storage */
export function rootFiles(storage: string): RootFiles {
  const folder = join(storage, "authorities", INTERNAL);
  return {
    folder,
    certificateFile: join(folder, "root.pem"),
    keyFile: join(folder, "root-key.pem"),
  };
}

export interface Root {
  readonly certificate: X509Certificate;
  readonly signer: Signer;
}

/**
 * The certificate of the root that is there.
 * @returns null: there is none yet.
 * @throws ProxyError ERR_STORAGE
 */
export async function readRootCertificate(storage: string): Promise<X509Certificate | null> {
  const { certificateFile } = rootFiles(storage);
  const pem = await readWhole(certificateFile);
  if (pem === null) return null;
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw damaged(certificateFile, "is no certificate", error);
  }
}

/**
 * The root that is there, or a new one. After two thirds of its time it is signed again with the same key: devices that trust
 * the old certificate do so until its end, and what is signed is good for either.
 * @throws ProxyError ERR_STORAGE; or the signal's reason.
 */
export async function openRoot(
  storage: CertificateStorage,
  nowMs: number,
  signal: AbortSignal,
): Promise<Root> {
  const kept = await readRoot(storage.folder);
  if (kept !== null && !isDue(kept, nowMs)) return kept;
  const lock = await storage.lockAccount(INTERNAL, signal);
  try {
    const found = await readRoot(storage.folder); // another process may have been here first
    if (found !== null && !isDue(found, nowMs)) return found;
    return await writeRoot(rootFiles(storage.folder), found, nowMs);
  } finally {
    lock.release();
  }
}

function isDue({ certificate }: Root, nowMs: number): boolean {
  return nowMs > certificate.validToDate.getTime() - AUTHORITY_LIMITS.rootMs / 3;
}

/** @returns null: there is no certificate, so that nobody can trust a key that may be there. */
async function readRoot(storage: string): Promise<Root | null> {
  const certificate = await readRootCertificate(storage);
  if (certificate === null) return null;
  const { certificateFile, keyFile } = rootFiles(storage);
  const key = await readWhole(keyFile);
  if (key === null) throw damaged(keyFile, "is missing, so that nothing can be signed");
  try {
    const privateKey = createPrivateKey(key);
    if (!certificate.checkPrivateKey(privateKey)) {
      throw damaged(keyFile, `is not the key of ${certificateFile}`);
    }
    return {
      certificate,
      signer: {
        subject: { organization: ORGANIZATION, commonName: commonNameOf(certificate) },
        keys: await importKeys(privateKey),
      },
    };
  } catch (error) {
    throw damaged(keyFile, "is no key that signs", error);
  }
}

/** The key first: one without a certificate is replaced, a certificate without its key could not be used. */
async function writeRoot(files: RootFiles, old: Root | null, nowMs: number): Promise<Root> {
  const signer = old?.signer ?? (await newSigner());
  const contents = {
    subject: signer.subject,
    publicKey: signer.keys.publicKey,
    names: null,
    notBeforeMs: nowMs - AUTHORITY_LIMITS.backdatedMs,
    notAfterMs: nowMs + AUTHORITY_LIMITS.rootMs,
  };
  const certificate = await signCertificate(contents, signer);
  await makeFolder(files.folder);
  await removeDrafts(files.folder);
  if (old === null) {
    const key = await exportKey(signer.keys);
    await writeWhole(files.keyFile, new Uint8Array(key.reveal()));
  }
  await writeWhole(files.certificateFile, certificate);
  return { certificate: new X509Certificate(certificate), signer };
}

/** Each root has a name of its own, so that a device that trusts several shows which is which. */
async function newSigner(): Promise<Signer> {
  const tag = Buffer.from(crypto.getRandomValues(new Uint8Array(3))).toString("hex");
  const commonName = `bun-tunnel internal authority ${tag}`;
  return { subject: { organization: ORGANIZATION, commonName }, keys: await makeKeys("p256") };
}

export function commonNameOf({ subject }: X509Certificate): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? "";
}

function damaged(path: string, problem: string, cause?: unknown): ProxyError {
  if (cause instanceof ProxyError) return cause;
  const reason = cause === undefined ? "" : ` (${messageOf(cause)})`;
  return new ProxyError("ERR_STORAGE", `${path}: the file ${problem}${reason}`, {
    cause,
    cure: "Put it back from a backup, or remove the folder it is in: a new authority is made, to be trusted anew",
  });
}
