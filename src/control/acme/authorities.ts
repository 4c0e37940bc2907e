// Public authorities by the names that people have for them, and where their directories are (RFC 8555 section 7.1.1). Called by
// the compile step and by issuers.

/** By the names of config/auto-tls-fields.ts. */
export const KNOWN_DIRECTORIES: ReadonlyMap<string, string> = new Map([
  ["letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"],
  ["letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"],
  ["zerossl", "https://acme.zerossl.com/v2/DV90"],
]);
