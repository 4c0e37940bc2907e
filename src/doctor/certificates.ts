// Certificates: of files, whether they can be used, until when and for whom, and who may read their keys; of the folder of
// automatic ones, what is in it. Reading and judging are apart. Called by checks.ts.

import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { rootCertificates } from "node:tls";

import type { InventoryEntry } from "../control/acme/inventory.ts";
import { readCertificates, tlsPlaces } from "../control/certificates/files.ts";
import { pemBlocks } from "../control/certificates/pem.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { faultOf, type Finding, Findings } from "./finding.ts";

export interface CertificateFile {
  readonly certFile: string;
  readonly keyFile: string;
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Whether clients find the way to a root: its last certificate is one, or is signed by one that is known. */
  readonly chain: "whole" | "self-signed" | "open";
  /** Permission bits of the key; null: unknown. */
  readonly keyMode: number | null;
}

export interface ListenerFiles {
  readonly listener: string;
  /** Why they cannot be used; null: they can. */
  readonly fault: { readonly fault: string; readonly cure: string | null } | null;
  readonly files: readonly CertificateFile[];
  /** Names that routes are for. */
  readonly wanted: readonly string[];
  /** Others are obtained. */
  readonly managed: boolean;
}

export function readFiles(listeners: readonly ListenerPlan[], nowMs: number): ListenerFiles[] {
  return listeners.flatMap((plan): ListenerFiles[] => {
    const places = tlsPlaces(plan);
    if (places === null) return [];
    const { key } = plan;
    const managed = places.server?.managed === true;
    const wanted = wantedNames(plan);
    try {
      readCertificates(places, nowMs);
      const files = (places.server?.certificates ?? []).map(readFile);
      return [{ listener: key, fault: null, files, wanted, managed }];
    } catch (error) {
      return [{ listener: key, fault: faultOf(error), files: [], wanted, managed }];
    }
  });
}

function readFile({ certFile, keyFile }: { certFile: string; keyFile: string }): CertificateFile {
  const blocks = pemBlocks(readFileSync(certFile, "latin1"));
  const chain = blocks
    .filter(({ label }) => label.endsWith("CERTIFICATE"))
    .map(({ text }) => new X509Certificate(text));
  const [own] = chain as [X509Certificate];
  const names = (own.subjectAltName ?? "")
    .split(", ")
    .filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice("DNS:".length).toLowerCase());
  return {
    certFile,
    keyFile,
    names,
    notBeforeMs: own.validFromDate.getTime(),
    notAfterMs: Math.min(...chain.map((each) => each.validToDate.getTime())),
    chain: chainOf(chain),
    keyMode: statSync(keyFile, { throwIfNoEntry: false })?.mode ?? null,
  };
}

function chainOf(chain: readonly X509Certificate[]): CertificateFile["chain"] {
  const last = chain.at(-1)!;
  if (last.checkIssued(last)) return chain.length === 1 ? "self-signed" : "whole";
  const isKnown = rootCertificates.some((root) => last.checkIssued(new X509Certificate(root)));
  return isKnown || chain.length > 1 ? "whole" : "open";
}

function wantedNames(plan: ListenerPlan): string[] {
  if (!("routes" in plan) || plan.protocol === "tcp") return [];
  const names = plan.routes.map((route) => ("sni" in route ? route.sni : route.match.host));
  return [...new Set(names.filter((name) => name !== null))];
}

const DAY_MS = 86_400_000;
/** Time enough to order another by hand. */
const SOON_MS = 21 * DAY_MS;
/** Bits of anybody but the owner and the group, and of a group that may write. */
const OPEN_TO_OTHERS = 0o027;

export function checkFiles(listeners: readonly ListenerFiles[], nowMs: number): Finding[] {
  const found = new Findings("certificates");
  for (const { listener, fault, files, wanted, managed } of listeners) {
    if (fault !== null) {
      found.problem(`${listener}: ${fault.fault}`, fault.cure ?? "Look at the file");
      continue;
    }
    for (const file of files) judgeFile(found, listener, file, nowMs);
    const names = files.flatMap((file) => file.names);
    const bare = wanted.filter(
      (name) => !isIpLiteral(name) && !names.some((have) => covers(have, name)),
    );
    if (files.length === 0 || managed || bare.length === 0) continue;
    found.warning(
      `${listener}: no certificate is for ${bare.join(", ")}, which routes are for`,
      "Name one that has the name, or obtain it (auto_tls)",
    );
  }
  return found.all;
}

const isIpLiteral = (name: string): boolean => /^(\[|[\d.]+$)/.test(name);

/** A wildcard stands for one label. @param name may be one, too: then the same. */
function covers(have: string, name: string): boolean {
  if (have === name) return true;
  return (
    have.startsWith("*.") &&
    !name.startsWith("*.") &&
    name.slice(name.indexOf(".")) === have.slice(1)
  );
}

function judgeFile(found: Findings, listener: string, file: CertificateFile, nowMs: number): void {
  const { certFile, keyFile, names, notBeforeMs, notAfterMs, chain, keyMode } = file;
  const about = `${listener}: ${certFile}`;
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  const renew = "Renew it, and put the new one in its place: it is taken up while the proxy runs";
  if (notAfterMs <= nowMs) found.problem(`${about} has expired on ${dayOf(notAfterMs)}`, renew);
  else if (notBeforeMs > nowMs) {
    found.problem(
      `${about} is not valid before ${dayOf(notBeforeMs)}`,
      "Set the clock right, or wait",
    );
  } else if (notAfterMs - nowMs < SOON_MS) found.warning(`${about} ends in ${days} days`, renew);
  else found.ok(`${about}, for ${names.join(", ") || "no name"}, ends in ${days} days`);
  if (chain === "open") {
    found.warning(
      `${about} has no intermediate certificate: many clients find no way to a root`,
      "Append the issuer's certificate to the file (fullchain.pem)",
    );
  } else if (chain === "self-signed") {
    found.warning(
      `${about} is signed by itself: clients refuse it unless they are told to trust it`,
      "Order one of an authority (auto_tls), or have the clients trust it",
    );
  }
  if (keyMode !== null && (keyMode & OPEN_TO_OTHERS) !== 0) {
    const mode = (keyMode & 0o777).toString(8).padStart(4, "0");
    found.warning(
      `${listener}: others may use the key ${keyFile} (mode ${mode})`,
      `chmod 600 ${keyFile}`,
    );
  }
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The folder of automatic certificates. */
export interface Storage {
  readonly folder: string;
  /** null: there is none yet. */
  readonly mode: number | null;
  /** Why it cannot be read or written; null: it can. */
  readonly fault: string | null;
  readonly entries: readonly InventoryEntry[];
  /** What the plan wants there. */
  readonly wanted: readonly (readonly string[])[];
}

export function checkStorage(storage: Storage, nowMs: number): Finding[] {
  const found = new Findings("auto_tls");
  const { folder, mode, fault, entries, wanted } = storage;
  if (fault !== null) {
    found.problem(`${folder}: ${fault}`, "Give it to the user of the proxy, with mode 0700");
    return found.all;
  }
  if (mode === null) found.ok(`${folder} is not there yet, and is made when the proxy starts`);
  else if ((mode & 0o077) === 0) found.ok(`${folder} is the proxy's alone`);
  else {
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    found.warning(
      `${folder} is open to others (mode ${shown}), and has keys`,
      `chmod 700 ${folder}`,
    );
  }
  for (const entry of entries) judgeEntry(found, entry, nowMs);
  const there = new Set(entries.map(({ names }) => names.join(",")));
  const missing = wanted.filter((names) => !there.has(names.join(",")));
  if (missing.length > 0) {
    const shown = missing.map((names) => names[0]).join(", ");
    found.warning(`not obtained yet: ${shown}`, "Start the proxy, and see its log");
  }
  return found.all;
}

function judgeEntry(found: Findings, entry: InventoryEntry, nowMs: number): void {
  const { names, certificate, failures, damage } = entry;
  const about = names.join(", ");
  const failed = failures.map(({ authority, message }) => `${authority}: ${message}`).join("; ");
  const why = failed === "" ? "" : `; the last attempt failed: ${failed}`;
  const cure = "See the reason in the proxy's log, and whether the proxy runs";
  if (damage !== null)
    return found.problem(`${about}: ${damage}`, "Remove it: it is obtained again");
  if (certificate === null) return found.warning(`${about}: none is there${why}`, cure);
  const { authority, notAfterMs, renewalMs } = certificate;
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  if (notAfterMs <= nowMs) return found.problem(`${about}: expired${why}`, cure);
  if (renewalMs + DAY_MS < nowMs) {
    return found.warning(`${about}: ${days} days left, and its renewal is overdue${why}`, cure);
  }
  found.ok(`${about}, of ${authority}: ${days} days left`);
}
