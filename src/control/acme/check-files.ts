// Files that orders will need, looked at before there is one: roots of authorities, keys of external accounts, credentials of DNS
// providers. Called at the start, where a mistake ends the proxy, and by `proxy check`.

import { readFileSync } from "node:fs";

import type { AutoTlsPlan } from "../../shared/auto-tls-plan.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { checkAuthorities } from "../certificates/material.ts";
import { createDnsProvider } from "../dns/providers/create.ts";

/**
 * @returns what is to be warned of.
 * @throws ProxyError ERR_CERTIFICATE with a line for each file that cannot be used.
 */
export function checkAutoTlsFiles({ authorities, dns }: AutoTlsPlan, nowMs: number): string[] {
  const faults: string[] = [];
  const warnings: string[] = [];
  const look = (path: string, check: (bytes: Uint8Array) => string[]): void => {
    try {
      warnings.push(...check(read(path)));
    } catch (error) {
      faults.push(messageOf(error));
    }
  };
  for (const { rootFile, eab } of authorities) {
    if (rootFile !== null) {
      look(rootFile, (bytes) => [...checkAuthorities({ path: rootFile, bytes }, nowMs).warnings]);
    }
    if (eab === null || eab === "zerossl" || !("file" in eab.hmacKey)) continue;
    const { file } = eab.hmacKey;
    look(file, (bytes) => checkHmacKey(file, bytes));
  }
  for (const file of Object.values(dns?.credentialFiles ?? {})) look(file, () => []);
  if (faults.length > 0) throw new ProxyError("ERR_CERTIFICATE", faults.join("\n"));
  return warnings;
}

/**
 * Whether credentials are there that orders will need: on another machine, where a file is only checked, they need not be.
 * @returns null if so, otherwise what is missing.
 */
export async function missingCredentials({ challenges, dns }: AutoTlsPlan): Promise<string | null> {
  // Roles of Amazon's machines are asked for over the network.
  if (dns === null || dns.provider === "route53" || !challenges.includes("dns-01")) return null;
  try {
    await createDnsProvider(dns);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** base64url (RFC 4648 section 5), as authorities give it. */
function checkHmacKey(path: string, bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString("latin1").trim();
  if (/^[A-Za-z0-9_-]+=*$/.test(text)) return [];
  const cure = "Put the key into it as the authority gave it (base64url), and nothing else";
  throw new ProxyError("ERR_CERTIFICATE", `${path}: there is no key in the file`, { cure });
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const errno = errnoOf(cause);
    const why =
      errno === "ENOENT" ? "the file does not exist" : `the file cannot be read (${errno})`;
    throw new ProxyError("ERR_CERTIFICATE", `${path}: ${why}`, { cause, cure: "Check the path" });
  }
}
