// A `tls` entry to its plan, and what every protocol over TLS needs: certificates, and TLS towards targets. Called by compile.ts
// and http.ts.

import type { TargetConfig } from "../../config/schema-targets.ts";
import type { TargetTlsConfig, TlsConfig } from "../../config/schema-tls.ts";
import type { ProtocolConfig } from "../../config/schema.ts";
import { certificatesOf, clientAuthOf, layered } from "../../config/tls.ts";
import type {
  CertificatePlan,
  StreamTargetPlan,
  TlsClientPlan,
  TlsPlan,
  TlsServerPlan,
} from "../../shared/http-plan.ts";
import { LISTENER_DEFAULTS, TLS_DEFAULTS } from "../../shared/limits.ts";
import { compileNameRoutes, compileTarget } from "./groups.ts";
import {
  compileAccess,
  compileBuffers,
  compileLimits,
  compileSocket,
  presetOf,
} from "./settings.ts";

/** @param top the configuration's own `tls`, the default of every listener. */
export function compileTls(
  entry: ProtocolConfig,
  top: TlsConfig | undefined,
  key: string,
  platform: NodeJS.Platform,
): TlsPlan {
  const { timeouts } = entry;
  return {
    key,
    protocol: "tls",
    listen: entry.listen,
    tls: compileServerTls(entry, top, entry.alpn ?? []),
    ...compileNameRoutes(entry, compileStreamTarget),
    access: compileAccess(entry),
    sendProxy: entry.proxy_protocol?.send ?? "off",
    limits: compileLimits(entry),
    timeouts: {
      connectMs: timeouts?.connect ?? LISTENER_DEFAULTS.connectMs,
      handshakeMs: timeouts?.handshake ?? TLS_DEFAULTS.handshakeMs,
      idleMs: timeouts?.idle ?? presetOf(entry).idleMs ?? LISTENER_DEFAULTS.idleMs,
      lifetimeMs: timeouts?.lifetime ?? LISTENER_DEFAULTS.lifetimeMs,
    },
    socket: compileSocket(entry, platform),
    buffers: compileBuffers(entry),
  };
}

export function compileServerTls(
  entry: ProtocolConfig,
  top: TlsConfig | undefined,
  alpn: readonly string[],
): TlsServerPlan {
  const given = layered(entry.tls, top);
  const clientAuth = clientAuthOf(given);
  return {
    certificates: certificatesOf(given).map(compileCertificate),
    clientCaFile: clientAuth === "none" ? null : (given.ca_file ?? null),
    clientAuth,
    minVersion: given.min_version ?? TLS_DEFAULTS.minVersion,
    alpn,
  };
}

function compileCertificate(given: { cert_file: string; key_file: string }): CertificatePlan {
  return { certFile: given.cert_file, keyFile: given.key_file };
}

function compileStreamTarget(written: TargetConfig): StreamTargetPlan {
  const given = "address" in written ? written.tls : undefined;
  return { ...compileTarget(written), tls: given === undefined ? null : compileClientTls(given) };
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
