// PEM (RFC 7468): the blocks of a file, by their labels. Pure. Called by material.ts.

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`. */
  readonly label: string;
  /** Whole, with its first and last line. */
  readonly text: string;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** What stands between blocks is ignored, as everybody does. */
export function pemBlocks(text: string): PemBlock[] {
  return [...text.matchAll(BLOCK)].map(([block, label]) => ({ label: label!, text: block }));
}

/** PKCS #8, or the older form that says so in a header line (RFC 1421). */
export function isEncryptedKey({ label, text }: PemBlock): boolean {
  return label === "ENCRYPTED PRIVATE KEY" || /^Proc-Type: 4,ENCRYPTED/m.test(text);
}

export function isKey({ label }: PemBlock): boolean {
  return label.endsWith("PRIVATE KEY");
}
