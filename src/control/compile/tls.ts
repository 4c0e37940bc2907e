// What every protocol over TLS needs: certificates, and TLS towards targets. Called by the files beside this one.

import { autoTlsOf, showsManaged } from "../../config/auto-tls.ts";
import type { TargetTlsConfig } from "../../config/schema-tls.ts";
import type { Config, ProtocolConfig } from "../../config/schema.ts";
import { certificatesOf, clientAuthOf, layered } from "../../config/tls.ts";
import type { CertificatePlan, TlsClientPlan, TlsServerPlan } from "../../shared/http-plan.ts";
import { TLS_DEFAULTS } from "../../shared/limits.ts";

/** What every listener over TLS goes by besides its own keys. */
export type TopTls = Pick<Config, "tls" | "auto_tls" | "options">;

export function compileServerTls(
  entry: ProtocolConfig,
  top: TopTls,
  alpn: readonly string[],
): TlsServerPlan {
  const given = layered(entry.tls, top.tls);
  const clientAuth = clientAuthOf(given);
  const shown = showsManaged(entry) ? autoTlsOf(top) : null;
  return {
    certificates: certificatesOf(given).map(compileCertificate),
    managed: shown !== null,
    onDemand: shown?.settings.on_demand !== undefined,
    clientCaFile: clientAuth === "none" ? null : (given.ca_file ?? null),
    clientAuth,
    minVersion: given.min_version ?? TLS_DEFAULTS.minVersion,
    alpn,
  };
}

function compileCertificate(given: { cert_file: string; key_file: string }): CertificatePlan {
  return { certFile: given.cert_file, keyFile: given.key_file };
}

export function compileClientTls(given: TargetTlsConfig): TlsClientPlan {
  const { cert_file, key_file } = given;
  const own = cert_file !== undefined && key_file !== undefined;
  return {
    serverName: given.server_name ?? null,
    caFile: given.ca_file ?? null,
    certificate: own ? compileCertificate({ cert_file, key_file }) : null,
    insecure: given.insecure_skip_verify ?? false,
  };
}
