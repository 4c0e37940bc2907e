// The account with an authority: made once, and found again by its key (RFC 8555 sections 7.3 and 7.3.1). Two processes that
// start together on one storage make one. Called by the issuer.

import { createHash } from "node:crypto";

import type { CertificateKeyType } from "../../../shared/auto-tls-plan.ts";
import type { Secret } from "../../../shared/secret.ts";
import { IssueError } from "../issue-error.ts";
import type { CertificateStorage } from "../storage.ts";
import type { StoredAccount } from "../storage/accounts.ts";
import { exportKey, makeKeys } from "../x509.ts";
import { makeBinding, wantedKeyId } from "./binding.ts";
import type { AuthorityConnection } from "./directory.ts";
import { RefusedError, Session } from "./session.ts";

export interface AccountsOptions {
  /** Base URL. */
  readonly zeroSslApi: string;
  /** Of accounts that are made from now on. */
  readonly keyType: CertificateKeyType;
}

export class Accounts {
  readonly #connection: AuthorityConnection;
  readonly #storage: CertificateStorage;
  readonly #zeroSslApi: string;
  readonly #keyType: CertificateKeyType;

  constructor(
    connection: AuthorityConnection,
    storage: CertificateStorage,
    options: AccountsOptions,
  ) {
    this.#connection = connection;
    this.#storage = storage;
    this.#zeroSslApi = options.zeroSslApi;
    this.#keyType = options.keyType;
  }

  /**
   * A session of the account, which is made if there is none.
   * @throws IssueError; ProxyError ERR_STORAGE; or the signal's reason.
   */
  async session(signal: AbortSignal): Promise<Session> {
    const there = await this.#stored(signal);
    if (there !== null && there.account.email === this.#connection.plan.email) return there.session;
    const lock = await this.#storage.lockAccount(this.#connection.plan.name, signal);
    try {
      // Another process may have made it while we waited.
      const now = await this.#stored(signal);
      if (now === null) return await this.#make(signal);
      await this.#tellEmail(now);
      return now.session;
    } finally {
      lock.release();
    }
  }

  /**
   * The authority has never heard of the account, or has forgotten it: one is made with the same key.
   * @param forgotten its URL.
   */
  async again(forgotten: string, signal: AbortSignal): Promise<Session> {
    const lock = await this.#storage.lockAccount(this.#connection.plan.name, signal);
    try {
      const now = await this.#stored(signal);
      if (now !== null && now.account.url !== forgotten) return now.session;
      return await this.#make(signal);
    } finally {
      lock.release();
    }
  }

  /** null: there is none that the plan means. */
  async #stored(
    signal: AbortSignal,
  ): Promise<{ session: Session; account: StoredAccount; key: Secret } | null> {
    const { plan } = this.#connection;
    const { accounts } = this.#storage;
    const place = await this.#place();
    const [key, account] = [await accounts.key(place), await accounts.read(place)];
    if (key === null || account === null || account.directory !== plan.directory) return null;
    const keyId = wantedKeyId(plan);
    if (keyId !== null && account.eabKeyId !== keyId) return null;
    const session = new Session(this.#connection, key, account.url, signal);
    return { session, account, key };
  }

  async #make(signal: AbortSignal): Promise<Session> {
    const { plan } = this.#connection;
    const { name } = plan;
    const directory = await this.#connection.directory(signal);
    if (directory.externalAccountRequired && plan.eab === null) {
      const problem = `${name} makes accounts only with an external account binding, and none is configured`;
      const cure = "Ask it for a key id and a key, and name them (eab)";
      throw new IssueError(problem, { isFinal: true }, { cure });
    }
    const key = await this.#key();
    const binding = await makeBinding(plan, this.#zeroSslApi, signal);
    const session = new Session(this.#connection, key, null, signal, binding);
    const what = `${name} makes no account${plan.email === null ? "" : ` for ${plan.email}`}`;
    const answer = await session.post(
      directory.newAccount,
      { termsOfServiceAgreed: true, ...contacts(plan.email) },
      what,
    );
    const url = answer.headers.get("location");
    if (url === null) throw new IssueError(`${what}: its answer has no URL`);
    await this.#storage.accounts.save(await this.#place(), {
      url,
      directory: plan.directory,
      email: plan.email,
      eabKeyId: binding?.kid ?? null,
      createdMs: Date.now(),
    });
    return new Session(this.#connection, key, url, signal);
  }

  /** A key that is on disk before the authority hears of it; one that no other account is known by. */
  async #key(): Promise<Secret> {
    const { plan } = this.#connection;
    const { accounts } = this.#storage;
    const place = await this.#place();
    const account = await accounts.read(place);
    const keyId = wantedKeyId(plan);
    const isBound = account === null || keyId === null || account.eabKeyId === keyId;
    const kept = isBound ? await accounts.key(place) : null;
    if (kept !== null) return kept;
    const key = await exportKey(await makeKeys(this.#keyType));
    await accounts.saveKey(place, key);
    return key;
  }

  /** Its folder in the storage: by its name, unless that is another's, with another directory on the same host. */
  async #place(): Promise<string> {
    const { name, directory } = this.#connection.plan;
    const account = await this.#storage.accounts.read(name);
    if (account === null || account.directory === directory) return name;
    return `${name}-${createHash("sha256").update(directory).digest("hex").slice(0, 8)}`;
  }

  /** RFC 8555 section 7.3.2 */
  async #tellEmail({
    session,
    account,
  }: {
    session: Session;
    account: StoredAccount;
  }): Promise<void> {
    const { name, email } = this.#connection.plan;
    if (account.email === email) return;
    const contact = email === null ? { contact: [] } : contacts(email);
    await session.post(account.url, contact, `${name} does not take ${email ?? "no address"}`);
    await this.#storage.accounts.save(await this.#place(), { ...account, email });
  }
}

/** The authority knows no account by this key or URL (RFC 8555 section 6.7). */
export function isForgotten(error: unknown): boolean {
  return error instanceof RefusedError && error.type === "accountDoesNotExist";
}

function contacts(email: string | null): { contact?: string[] } {
  return email === null ? {} : { contact: [`mailto:${email}`] };
}
