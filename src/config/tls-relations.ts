// Checks over the TLS of listeners: a certificate where one is needed, client certificates with CAs that verify them, and no
// key without effect. They need the top level, whose tls is the default of every listener. Called by relations.ts.

import { autoTlsOf } from "./auto-tls.ts";
import type { Path, Report } from "./problems.ts";
import type { TlsConfig } from "./schema-tls.ts";
import type { Config, ProtocolConfig } from "./schema.ts";
import { checkPair } from "./target-relations.ts";
import { certificatesOf, clientAuthOf, layered } from "./tls.ts";

const SHOWS_CERTIFICATE: readonly ProtocolConfig["name"][] = ["tls", "http2", "http3", "quic"];
/** Those that this version opens. */
const NEEDS_CERTIFICATE: readonly ProtocolConfig["name"][] = ["tls", "http2", "http3", "quic"];

export function checkTls(config: Config, report: Report): void {
  const { tls: top, protocols } = config;
  const users = protocols.filter(({ name }) => SHOWS_CERTIFICATE.includes(name));
  if (top !== undefined) {
    checkPair(top, ["tls"], report);
    if (users.length === 0 && !isHalf(top)) {
      const message = "has no effect: no listener speaks TLS. It is for tls, http2, http3 and quic";
      report(["tls"], message, "key");
    }
  }
  const obtained = autoTlsOf(config) !== null;
  protocols.forEach((entry, i) => {
    if (entry.tls !== undefined) checkPair(entry.tls, ["protocols", i, "tls"], report);
    if (NEEDS_CERTIFICATE.includes(entry.name)) {
      checkListener(entry, top, obtained, ["protocols", i], report);
    }
  });
}

const isHalf = (tls: TlsConfig | undefined): boolean =>
  (tls?.cert_file === undefined) !== (tls?.key_file === undefined);

function checkListener(
  entry: ProtocolConfig,
  top: TlsConfig | undefined,
  obtained: boolean,
  path: Path,
  report: Report,
): void {
  const given = layered(entry.tls, top);
  // Half of a pair is told of already.
  if (certificatesOf(given).length === 0 && !obtained && ![entry.tls, top].some(isHalf)) {
    const keys =
      "Write tls: { cert_file: ./cert.pem, key_file: ./key.pem }, here or at the top level";
    const obtain = "auto_tls: { domains: [example.com], agree_terms: true } at the top level";
    const flags = "on the command line -cert and -key, or -auto-tls and -domains";
    const message = `"${entry.name}" needs a certificate. ${keys}, or ${obtain}; ${flags}`;
    report([...path, "name"], message);
  }
  const auth = clientAuthOf(given);
  if (auth !== "none" && given.ca_file === undefined) {
    const own = entry.tls?.client_auth !== undefined;
    const at: Path = own ? [...path, "tls", "client_auth"] : ["tls", "client_auth"];
    const cure = "Write ca_file: ./client-ca.pem beside it";
    report(at, `needs the CAs of client certificates. ${cure}`);
  }
  if (entry.tls?.ca_file !== undefined && auth === "none") {
    const message = "has no effect with client_auth: none";
    report([...path, "tls", "ca_file"], message, "key");
  }
  if (entry.client_subject_header !== undefined && auth === "none") {
    const cure = "Write tls: { ca_file: ./client-ca.pem }";
    const message = `has no effect without client certificates. ${cure}`;
    report([...path, "client_subject_header"], message, "key");
  }
}
