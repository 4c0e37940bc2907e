// Orders under way: with its URL and the key that its certificate is for, an order can be gone on with after a crash at any
// step, and the certificate be fetched of one that was finalised. Writers hold the certificate's lock (storage.ts).

import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";

import type { CertificateKeyType } from "../../../shared/auto-tls-plan.ts";
import { Secret } from "../../../shared/secret.ts";
import { ORDER, type StoredCertificates } from "./certificates.ts";
import { Fields, jsonText, timeText } from "./fields.ts";
import { makeFolder, readWhole, remove, writeWhole } from "./files.ts";

const KEY_TYPES: readonly CertificateKeyType[] = ["p256", "p384", "rsa2048", "rsa4096"];

export interface StoredOrder {
  /** Of the order (RFC 8555 section 7.1.3). */
  readonly url: string;
  /** Of the authority that has it. */
  readonly directory: string;
  /** URL of the account that made it. */
  readonly account: string;
  readonly names: readonly string[];
  readonly keyType: CertificateKeyType;
  /** Profile that it was made with; null: the authority's default. */
  readonly profile: string | null;
  readonly createdMs: number;
  /** PEM, PKCS #8: what the certificate is for. */
  readonly key: Secret;
}

export class StoredOrders {
  readonly #certificates: StoredCertificates;

  constructor(certificates: StoredCertificates) {
    this.#certificates = certificates;
  }

  /**
   * The order under way; null: there is none. One whose certificate is in use already is not under way: a crash came between.
   * @param name the first of its names. @throws ProxyError ERR_STORAGE
   */
  async read(name: string): Promise<StoredOrder | null> {
    const path = this.#path(name);
    const text = await readWhole(path);
    if (text === null) return null;
    const order = decodeOrder(path, text);
    const current = await this.#certificates.read(name);
    if (current === null || !fits(current.chain, order.key)) return order;
    await this.remove(name);
    return null;
  }

  /** Takes the place of the one before. @throws ProxyError ERR_STORAGE */
  async save(order: StoredOrder): Promise<void> {
    const [name = ""] = order.names;
    await makeFolder(this.#certificates.folderOf(name));
    const { createdMs, key, ...others } = order;
    const pem = Buffer.from(key.reveal()).toString();
    await writeWhole(
      this.#path(name),
      jsonText({ ...others, created: timeText(createdMs), key: pem }),
    );
  }

  /** @throws ProxyError ERR_STORAGE */
  remove(name: string): Promise<void> {
    return remove(this.#path(name));
  }

  #path(name: string): string {
    return join(this.#certificates.folderOf(name), ORDER);
  }
}

function decodeOrder(path: string, text: string): StoredOrder {
  const fields = Fields.parse(path, text);
  return {
    url: fields.string("url"),
    directory: fields.string("directory"),
    account: fields.string("account"),
    names: fields.strings("names"),
    keyType: fields.oneOf("keyType", KEY_TYPES),
    profile: fields.optionalString("profile"),
    createdMs: fields.time("created"),
    key: Secret.of(Buffer.from(fields.string("key"))),
  };
}

function fits(chain: string, key: Secret): boolean {
  return new X509Certificate(chain).checkPrivateKey(createPrivateKey(Buffer.from(key.reveal())));
}
