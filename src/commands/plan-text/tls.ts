// TLS as rows: what clients are shown, and how targets are spoken with. Pure. Called by the files beside this one.

import { formatDuration } from "../../config/units.ts";
import { formatEndpoint } from "../../shared/address.ts";
import type { StreamTargetPlan, TlsClientPlan, TlsServerPlan } from "../../shared/http-plan.ts";
import type { QuicClientPlan, QuicTransportPlan } from "../../shared/quic-plan.ts";
import type { Row } from "./rows.ts";

export function formatServerTls(tls: TlsServerPlan): Row[] {
  const { certificates, managed, onDemand, clientAuth, clientCaFile, minVersion, alpn } = tls;
  const rows: Row[] = certificates.map(({ certFile, keyFile }, i) => [
    i === 0 ? "certificate" : "",
    `${certFile}, key ${keyFile}${certificates.length > 1 && i === 0 ? " (for every other name)" : ""}`,
  ]);
  if (managed) {
    const demand = onDemand ? ", also on demand" : "";
    rows.push([rows.length === 0 ? "certificate" : "", `those that are obtained${demand}`]);
  }
  const offers = alpn.length === 0 ? "" : `, agrees on ${alpn.join(" or ")}`;
  rows.push(["TLS", `${minVersion === "1.2" ? "1.2 and 1.3" : "1.3 only"}${offers}`]);
  if (clientAuth !== "none") {
    const asked = clientAuth === "require" ? "required" : "asked for";
    rows.push(["client certificate", `${asked}, of ${clientCaFile ?? "any CA"}`]);
  }
  return rows;
}

/** `verified by the system's roots as db.example.com`. */
export function formatClientTls(tls: TlsClientPlan): string {
  const { serverName, caFile, certificate, insecure } = tls;
  const name = serverName === null ? "" : ` as ${serverName}`;
  const verified = insecure
    ? `NOT VERIFIED (insecure_skip_verify)${name}`
    : `verified by ${caFile ?? "the system's roots"}${name}`;
  return certificate === null ? verified : `${verified}, with ${certificate.certFile}`;
}

export function formatHandshake({ handshakeMs }: { readonly handshakeMs: number }): Row {
  return ["handshake", `within ${formatDuration(handshakeMs)}`];
}

/** Those that are spoken to over TLS or QUIC. */
export function formatSecureTargets(targets: readonly StreamTargetPlan[]): Row[] {
  return targets.flatMap(({ endpoint, tls, quic }): Row[] => {
    if (tls === null) return [];
    const over = quic === null ? "over TLS" : formatQuicTarget(quic);
    return [["target", `${formatEndpoint(endpoint)} ${over}, ${formatClientTls(tls)}`]];
  });
}

function formatQuicTarget(quic: QuicClientPlan): string {
  return `over QUIC (${[quic.alpn.join(" or "), ...formatTransport(quic)].join(", ")})`;
}

/** What both sides of a QUIC connection have. */
export function formatTransport(quic: QuicTransportPlan): string[] {
  const { driver, keepAliveMs, idleMs, tokenFile } = quic;
  const alive = keepAliveMs === 0 ? "" : `, kept alive every ${formatDuration(keepAliveMs)}`;
  return [
    `driver ${driver}`,
    `gone after ${formatDuration(idleMs)} without a packet${alive}`,
    ...(tokenFile === null ? [] : [`token of ${tokenFile}`]),
  ];
}
