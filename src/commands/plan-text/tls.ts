// TLS as rows: what clients are shown, and how targets are spoken with. Pure. Called by the files beside this one.

import type { TlsClientPlan, TlsServerPlan } from "../../shared/http-plan.ts";
import type { Row } from "./rows.ts";

export function formatServerTls(tls: TlsServerPlan): Row[] {
  const { certificates, clientAuth, clientCaFile, minVersion, alpn } = tls;
  const rows: Row[] = certificates.map(({ certFile, keyFile }, i) => [
    i === 0 ? "certificate" : "",
    `${certFile}, key ${keyFile}${certificates.length > 1 && i === 0 ? " (for every other name)" : ""}`,
  ]);
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
