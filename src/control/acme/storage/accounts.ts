// Accounts with authorities (RFC 8555 section 7.1.2). The key is on disk before the authority hears of it: after a crash in
// between, the same key finds the same account (section 7.3.1). Writers hold the account's lock (storage.ts).

import { join } from "node:path";

import { Secret } from "../../../shared/secret.ts";
import { Fields, jsonText, timeText } from "./fields.ts";
import { makeFolder, readWhole, remove, writeWhole } from "./files.ts";
import { accountFolder } from "./paths.ts";

const KEY = "key.pem";
const ACCOUNT = "account.json";

export interface StoredAccount {
  /** Of the account, which is its name in every request. */
  readonly url: string;
  /** Of the authority that knows it: a folder's name may come to stand for another one. */
  readonly directory: string;
  /** What the authority was told; null: nothing. */
  readonly email: string | null;
  /** Of the external account binding that it was made with; null: none. */
  readonly eabKeyId: string | null;
  readonly createdMs: number;
}

export class StoredAccounts {
  readonly #folder: string;

  /** @param folder `accounts` in the storage's. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** PEM, PKCS #8; null: there is none. @param authority AuthorityPlan.name @throws ProxyError ERR_STORAGE */
  async key(authority: string): Promise<Secret | null> {
    const text = await readWhole(this.#path(authority, KEY));
    return text === null ? null : Secret.of(Buffer.from(text));
  }

  /** For an account that is about to be made. One that was there is forgotten. @throws ProxyError ERR_STORAGE */
  async saveKey(authority: string, key: Secret): Promise<void> {
    await makeFolder(join(this.#folder, accountFolder(authority)));
    await remove(this.#path(authority, ACCOUNT));
    await writeWhole(this.#path(authority, KEY), Buffer.from(key.reveal()));
  }

  /** null: the authority has not been told of the key yet, as far as anybody knows. @throws ProxyError ERR_STORAGE */
  async read(authority: string): Promise<StoredAccount | null> {
    const path = this.#path(authority, ACCOUNT);
    const text = await readWhole(path);
    if (text === null) return null;
    const fields = Fields.parse(path, text);
    return {
      url: fields.string("url"),
      directory: fields.string("directory"),
      email: fields.optionalString("email"),
      eabKeyId: fields.optionalString("eabKeyId"),
      createdMs: fields.time("created"),
    };
  }

  /** @throws ProxyError ERR_STORAGE */
  async save(authority: string, account: StoredAccount): Promise<void> {
    const { createdMs, ...others } = account;
    const text = jsonText({ ...others, created: timeText(createdMs) });
    await writeWhole(this.#path(authority, ACCOUNT), text);
  }

  #path(authority: string, file: string): string {
    return join(this.#folder, accountFolder(authority), file);
  }
}
