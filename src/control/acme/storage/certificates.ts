// Certificates on disk. A chain and its key are two files of a folder that is never changed; which folder is in use stands in
// certificate.json, whose rename is the one step from the old pair to the new. So no crash leaves the key of one and the chain
// of another. Writers hold the certificate's lock (storage.ts); readers need none.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { errnoOf, ProxyError } from "../../../shared/errors.ts";
import { Secret } from "../../../shared/secret.ts";
import type { IssuedCertificate, RenewalWindow } from "../issuer.ts";
import {
  makeFolder,
  namesIn,
  readWhole,
  remove,
  removeDrafts,
  storageError,
  writeWhole,
} from "./files.ts";
import { certificateFolder, VERSION, versionName } from "./paths.ts";
import {
  type CertificateRecord,
  decodeRecord,
  encodeRecord,
  type StoredFailure,
  type StoredVersion,
} from "./record.ts";

const RECORD = "certificate.json";
export const ORDER = "order.json";
const CHAIN = "chain.pem";
const KEY = "key.pem";
const WANTED = "wanted";

export interface StoredCertificate {
  readonly names: readonly string[];
  /** AuthorityPlan.name, or `internal`. */
  readonly authority: string;
  readonly issuedMs: number;
  /** PEM, the certificate first. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly key: Secret;
  /** Where they are, for messages: the next issuance is in other files. */
  readonly chainFile: string;
  readonly keyFile: string;
}

/** What a schedule keeps of a certificate. */
export interface RenewalNotes {
  readonly renewalWindow: RenewalWindow | null;
  readonly failures: readonly StoredFailure[];
}

export class StoredCertificates {
  readonly #folder: string;

  /** @param folder `certificates` in the storage's. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** First names of everything that there is a record of, issued or not, sorted. @throws ProxyError ERR_STORAGE */
  async list(): Promise<string[]> {
    const names: string[] = [];
    for (const folder of await namesIn(this.#folder)) {
      const record = await readRecord(join(this.#folder, folder, RECORD));
      if (record?.names[0] !== undefined) names.push(record.names[0]);
    }
    return names.toSorted();
  }

  /** What is known of a certificate; null: nothing. @param name its first. @throws ProxyError ERR_STORAGE */
  record(name: string): Promise<CertificateRecord | null> {
    return readRecord(join(this.folderOf(name), RECORD));
  }

  /** The certificate that is in use; null: none was issued. @throws ProxyError ERR_STORAGE */
  async read(name: string): Promise<StoredCertificate | null> {
    const record = await this.record(name);
    return record?.current == null ? null : this.#readVersion(record.names, record.current);
  }

  /** The one before it, which its successor replaced; null: there was none. @throws ProxyError ERR_STORAGE */
  async readReplaced(name: string): Promise<StoredCertificate | null> {
    const record = await this.record(name);
    return record?.replaced == null ? null : this.#readVersion(record.names, record.replaced);
  }

  /**
   * Puts a new certificate in use: when this comes back, it survives a crash of the machine. Failures are forgotten, as are the
   * window of the one before and the order under way; what was before that is removed.
   * @param names in the order's order.
   * @param authority AuthorityPlan.name, or `internal`.
   * @throws ProxyError ERR_STORAGE; then the one before is still in use.
   */
  async save(
    names: readonly string[],
    { chain, key }: IssuedCertificate,
    authority: string,
    nowMs: number,
  ): Promise<StoredCertificate> {
    const folder = this.folderOf(names[0] ?? "");
    const path = join(folder, RECORD);
    await makeFolder(folder);
    const before = await readRecord(path);
    const version = await makeVersion(folder, versionName(nowMs));
    await writeWhole(join(folder, version, KEY), Buffer.from(key.reveal()));
    await writeWhole(join(folder, version, CHAIN), chain);
    const current = { version, authority, issuedMs: nowMs };
    const replaced = before?.current ?? null;
    const record = { names, current, replaced, renewalWindow: null, failures: [] };
    await writeWhole(path, encodeRecord(record));
    await removeOthers(folder, [version, replaced?.version]);
    return this.#readVersion(names, current);
  }

  /** Keeps what a schedule has to remember, and leaves the certificate alone. @throws ProxyError ERR_STORAGE */
  async note(names: readonly string[], notes: RenewalNotes): Promise<void> {
    const folder = this.folderOf(names[0] ?? "");
    const path = join(folder, RECORD);
    const before = await readRecord(path);
    if (before === null) await makeFolder(folder);
    const { renewalWindow, failures } = notes;
    const { current = null, replaced = null } = before ?? {};
    // Names are of the certificate; before there is one, of the order.
    const kept = current === null ? names : before!.names;
    await writeWhole(
      path,
      encodeRecord({ names: kept, current, replaced, renewalWindow, failures }),
    );
  }

  /** Asks whoever keeps this certificate for a new one, as soon as may be. @throws ProxyError ERR_STORAGE */
  async want(name: string): Promise<void> {
    await writeWhole(join(this.folderOf(name), WANTED), "");
  }

  /** Whether somebody asked, who has been heard then. @throws ProxyError ERR_STORAGE */
  async takeWant(name: string): Promise<boolean> {
    const path = join(this.folderOf(name), WANTED);
    if ((await readWhole(path)) === null) return false;
    await remove(path);
    return true;
  }

  /** Removes a certificate, its key and all that is known of it. @throws ProxyError ERR_STORAGE */
  async remove(name: string): Promise<void> {
    const folder = this.folderOf(name);
    await remove(join(folder, RECORD)); // first: a crash leaves what counts as nothing
    await remove(folder);
  }

  /** Of a certificate, by its first name. @throws ProxyError ERR_STORAGE for what is no name. */
  folderOf(name: string): string {
    return join(this.#folder, certificateFolder(name));
  }

  async #readVersion(
    names: readonly string[],
    { version, authority, issuedMs }: StoredVersion,
  ): Promise<StoredCertificate> {
    const folder = join(this.folderOf(names[0] ?? ""), version);
    const chainFile = join(folder, CHAIN);
    const keyFile = join(folder, KEY);
    const chain = await readWhole(chainFile);
    const key = await readWhole(keyFile);
    if (chain === null || key === null) {
      const missing = chain === null ? chainFile : keyFile;
      const cure = "Put it back, or remove certificate.json beside its folder to order anew";
      throw new ProxyError("ERR_STORAGE", `${missing}: the file is missing`, { cure });
    }
    return {
      names,
      authority,
      issuedMs,
      chain,
      key: Secret.of(Buffer.from(key)),
      chainFile,
      keyFile,
    };
  }
}

async function readRecord(path: string): Promise<CertificateRecord | null> {
  const text = await readWhole(path);
  if (text === null) return null;
  const record = decodeRecord(path, text);
  // They are joined to paths.
  for (const each of [record.current, record.replaced]) {
    if (each === null || VERSION.test(each.version)) continue;
    const cure = "Mend the file, or remove it: it is made again";
    const problem = `${path}: the file is damaged: ${JSON.stringify(each.version)} is no version`;
    throw new ProxyError("ERR_STORAGE", problem, { cure });
  }
  return record;
}

/** A new folder; of two issuances within a second, the second gets a number. */
async function makeVersion(folder: string, wanted: string): Promise<string> {
  for (let i = 1; ; i++) {
    const version = i === 1 ? wanted : `${wanted}-${i}`;
    try {
      await mkdir(join(folder, version), { mode: 0o700 });
      return version;
    } catch (error) {
      if (errnoOf(error) === "EEXIST") continue;
      throw storageError(join(folder, version), "the folder cannot be made", error);
    }
  }
}

/** Versions that nobody needs any more, or that a crash left half written, drafts, and the order that is done. */
async function removeOthers(folder: string, kept: readonly (string | undefined)[]): Promise<void> {
  for (const name of await namesIn(folder)) {
    const isOld = VERSION.test(name) && !kept.includes(name);
    if (isOld || name === ORDER) await remove(join(folder, name));
  }
  await removeDrafts(folder);
}
