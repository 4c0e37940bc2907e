// Where things are in the storage's folder:
//
//   certificates/example.com/              `_wildcard.example.com` for *.example.com, `2001_db8__1` for an address
//     certificate.json                     which of the folders beside it is in use, and how the next renewal stands
//     20261122T232004Z/chain.pem key.pem   one issuance: its two files belong together and are never changed
//     order.json                           an order under way, and the key that it is for
//     wanted                               somebody asked for a new one (`proxy certificates renew`)
//   certificates/_long.…/                  the same for a name that file systems take no folder of, by its hash
//   accounts/letsencrypt/                  account.json, key.pem
//   authorities/internal/                  root.pem, root-key.pem: internal-authority.ts
//   locks/                                 empty files; they stay
//
// Without I/O. Called by the parts of the storage.

import { isIP } from "node:net";

import { ProxyError } from "../../../shared/errors.ts";
import { STORAGE } from "../../../shared/limits.ts";

const NAME = /^(\*\.)?[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*$/;

/**
 * The folder of a certificate, by its first name.
 * @throws ProxyError ERR_STORAGE for what is no name: nothing that a client sends leads out of the folder.
 */
export function certificateFolder(name: string): string {
  if (isIP(name) !== 0) return name.replaceAll(":", "_").toLowerCase();
  if (name.length > STORAGE.nameMaxLength || !NAME.test(name)) {
    throw new ProxyError("ERR_STORAGE", `${JSON.stringify(name)} is no name of a certificate`);
  }
  const folder = name.replace(/^\*\./, "_wildcard.");
  if (folder.length <= STORAGE.folderMaxLength) return folder;
  return `_long.${new Bun.CryptoHasher("sha256").update(folder).digest("hex")}`;
}

/** The folder of an authority's account: its name, in characters that every file system takes. */
export function accountFolder(authority: string): string {
  const folder = authority.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "_");
  return folder.startsWith(".") ? `_${folder}` : folder;
}

/** Of one issuance: 20261122T232004Z, which sorts by time. */
export function versionName(nowMs: number): string {
  return new Date(nowMs)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(/[-:]/g, "");
}

export const VERSION = /^\d{8}T\d{6}Z(-\d+)?$/;
