// The certificate of `proxy demo`, signed by an internal authority: of the demo alone, in a folder that goes with it, or of a
// storage that stays, whose root people can trust. Called by commands/demo.ts.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { AUTHORITY_LIMITS } from "../shared/limits.ts";
import { rootFiles } from "./acme/internal-authority.ts";
import { InternalIssuer } from "./acme/internal-issuer.ts";
import { CertificateStorage } from "./acme/storage.ts";
import { writeWhole } from "./acme/storage/files.ts";

const NAMES = ["localhost", "127.0.0.1", "::1"];

export interface DemoCertificate extends AsyncDisposable {
  readonly certFile: string;
  readonly keyFile: string;
  /** Of the authority. */
  readonly rootFile: string;
}

/**
 * @param place of the authority; null: a new one in a temporary folder, which is removed at the end.
 * @throws ProxyError ERR_STORAGE
 */
export async function makeDemoCertificate(place: string | null): Promise<DemoCertificate> {
  const own = await mkdtemp(join(tmpdir(), "proxy-demo-"));
  const remove = (): Promise<void> => rm(own, { recursive: true, force: true });
  const folder = place === null ? own : resolve(place);
  const [certFile, keyFile] = [join(own, "chain.pem"), join(own, "key.pem")];
  try {
    const storage = new CertificateStorage(folder);
    const issuer = new InternalIssuer(storage, Date.now, AUTHORITY_LIMITS.demoLeafMs);
    const request = { names: NAMES, keyType: "p256" } as const;
    const { chain, key } = await issuer.issue(request, new AbortController().signal);
    await writeWhole(keyFile, new Uint8Array(key.reveal()));
    await writeWhole(certFile, chain);
  } catch (error) {
    await remove();
    throw error;
  }
  const { certificateFile: rootFile } = rootFiles(folder);
  return { certFile, keyFile, rootFile, [Symbol.asyncDispose]: remove };
}
