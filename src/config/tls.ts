// What the keys of TLS mean together: a listener's own over the top level's, one certificate or several. Pure. Called by
// the checks and by the compile step, so that both mean the same.

import type { TlsConfig } from "./schema-tls.ts";

/** A listener's keys win, one by one; its certificates are all of its own, or all of the top level's. */
export function layered(own: TlsConfig | undefined, top: TlsConfig | undefined): TlsConfig {
  if (own === undefined || top === undefined) return own ?? top ?? {};
  if (certificatesOf(own).length === 0) return { ...top, ...own };
  const { cert_file: _cert, key_file: _key, certificates: _several, ...rest } = top;
  return { ...rest, ...own };
}

/** That of cert_file and key_file, and the others. */
export function certificatesOf(
  given: TlsConfig,
): readonly { cert_file: string; key_file: string }[] {
  const { cert_file, key_file, certificates = [] } = given;
  if (cert_file === undefined || key_file === undefined) return certificates;
  return [{ cert_file, key_file }, ...certificates];
}

/** Who names CAs of clients wants to see their certificates. */
export function clientAuthOf(given: TlsConfig): NonNullable<TlsConfig["client_auth"]> {
  return given.client_auth ?? (given.ca_file === undefined ? "none" : "require");
}
