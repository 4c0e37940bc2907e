// The folder that keeps accounts, certificates and orders under way, which several processes may use at once. What is in it:
// storage/paths.ts.
//
// Invariant: whoever orders or writes a certificate holds its lock, and reads again what is there after it got it: another
// process may have done the work meanwhile. Readers need no lock. Called by the manager, the issuers and `proxy certificates`.

import { join } from "node:path";

import type { FileLock } from "../../ffi/file-lock.ts";
import { StoredAccounts } from "./storage/accounts.ts";
import { StoredCertificates } from "./storage/certificates.ts";
import { makeFolder } from "./storage/files.ts";
import { waitForLock } from "./storage/lock.ts";
import { StoredOrders } from "./storage/orders.ts";
import { accountFolder, certificateFolder } from "./storage/paths.ts";

export class CertificateStorage {
  /** AutoTlsPlan.storage */
  readonly folder: string;
  readonly certificates: StoredCertificates;
  readonly accounts: StoredAccounts;
  readonly orders: StoredOrders;

  /** Nothing is read or made yet: a folder that is not there is an empty one. */
  constructor(folder: string) {
    this.folder = folder;
    this.certificates = new StoredCertificates(join(folder, "certificates"));
    this.accounts = new StoredAccounts(join(folder, "accounts"));
    this.orders = new StoredOrders(this.certificates);
  }

  /**
   * Makes the folder, for its owner alone, and finds out at the start whether it can be written.
   * @throws ProxyError ERR_STORAGE
   */
  async prepare(signal: AbortSignal): Promise<void> {
    const lock = await this.#lock("", "storage", signal);
    lock.release();
  }

  /**
   * Waits until nobody else orders or writes this certificate. A holder that is killed holds it no more.
   * @param name its first.
   * @throws ProxyError ERR_STORAGE; or the signal's reason.
   */
  async lockCertificate(name: string, signal: AbortSignal): Promise<FileLock> {
    return this.#lock("certificates", certificateFolder(name), signal);
  }

  /** The same for the account with an authority. @param authority AuthorityPlan.name */
  lockAccount(authority: string, signal: AbortSignal): Promise<FileLock> {
    return this.#lock("accounts", accountFolder(authority), signal);
  }

  async #lock(kind: string, name: string, signal: AbortSignal): Promise<FileLock> {
    const folder = join(this.folder, "locks", kind);
    await makeFolder(folder);
    return waitForLock(join(folder, `${name}.lock`), signal);
  }
}
