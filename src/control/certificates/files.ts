// The files that a listener's plan names, read and checked, and what became of them the last time anybody looked. Called by
// certificates.ts.

import { readFileSync } from "node:fs";

import {
  type CertificateMaterial,
  type KeptCertificates,
  revealed,
  type TargetCertificates,
} from "../../shared/certificates.ts";
import { errnoOf, ProxyError } from "../../shared/errors.ts";
import type {
  CertificatePlan,
  SecureTargetPlan,
  TlsClientPlan,
  TlsServerPlan,
} from "../../shared/http-plan.ts";
import type { ListenerPlan } from "../../shared/plan.ts";
import type { QuicClientPlan } from "../../shared/quic-plan.ts";
import type { Secret } from "../../shared/secret.ts";
import { checkAuthorities, checkCertificate, type Checked, type NamedFile } from "./material.ts";
import { checkToken } from "./token.ts";

interface TlsTarget {
  readonly group: number;
  readonly index: number;
  readonly tls: TlsClientPlan;
  readonly tokenFile: string | null;
}

/** What of a plan speaks TLS; null: nothing. */
export interface TlsPlaces {
  readonly server: TlsServerPlan | null;
  readonly targets: readonly TlsTarget[];
  /** Of quic; null: none. */
  readonly tokenFile: string | null;
}

type AnyTarget = SecureTargetPlan & { readonly quic?: QuicClientPlan | null };

export function tlsPlaces(plan: ListenerPlan): TlsPlaces | null {
  if (plan.protocol === "tcp" || plan.protocol === "udp") return null;
  const groups: readonly { readonly targets: readonly AnyTarget[] }[] = plan.groups;
  const targets = groups.flatMap((members, group) =>
    members.targets.flatMap(({ tls, quic }, index) =>
      tls === null ? [] : [{ group, index, tls, tokenFile: quic?.tokenFile ?? null }],
    ),
  );
  if (plan.tls === null && targets.length === 0) return null;
  const tokenFile = plan.protocol === "quic" ? plan.quic.tokenFile : null;
  return { server: plan.tls, targets, tokenFile };
}

/** Every file that is read, once. */
export function filesOf({ server, targets, tokenFile }: TlsPlaces): string[] {
  const pairs = [...(server?.certificates ?? []), ...targets.map(({ tls }) => tls.certificate)];
  const authorities = [server?.clientCaFile ?? null, ...targets.map(({ tls }) => tls.caFile)];
  const paths = [
    ...pairs.flatMap((pair) => (pair === null ? [] : [pair.certFile, pair.keyFile])),
    ...authorities,
    tokenFile,
    ...targets.map((target) => target.tokenFile),
  ];
  return [...new Set(paths.filter((path) => path !== null))];
}

/** @throws ProxyError ERR_CERTIFICATE, which names the file, what is wrong and the cure. */
export function readCertificates(places: TlsPlaces, nowMs: number): Checked<KeptCertificates> {
  const warnings: string[] = [];
  const take = <T>(checked: Checked<T>): T => {
    warnings.push(...checked.warnings);
    return checked.value;
  };
  const pairOf = ({ certFile, keyFile }: CertificatePlan): CertificateMaterial<Secret> =>
    take(checkCertificate(readNamed(certFile), readNamed(keyFile), nowMs));
  const authoritiesOf = (path: string | null): string | null =>
    path === null ? null : take(checkAuthorities(readNamed(path), nowMs));
  const tokenOf = (path: string | null): Secret | null =>
    path === null ? null : checkToken(readNamed(path));
  const { server } = places;
  const value = {
    server: server && {
      certificates: server.certificates.map(pairOf),
      clientCa: authoritiesOf(server.clientCaFile),
      token: tokenOf(places.tokenFile),
    },
    targets: places.targets.map(({ group, index, tls, tokenFile }): TargetCertificates<Secret> => ({
      group,
      index,
      ca: authoritiesOf(tls.caFile),
      certificate: tls.certificate && pairOf(tls.certificate),
      token: tokenOf(tokenFile),
    })),
  };
  return { value, warnings: [...new Set(warnings)] };
}

const REASONS: Readonly<Record<string, readonly [reason: string, cure: string]>> = {
  ENOENT: ["the file does not exist", "Check the path"],
  EACCES: ["the file cannot be read: permission denied", "Let the proxy's user read it"],
  EISDIR: ["this is a folder", "Name a file in it"],
};

/** @throws ProxyError ERR_CERTIFICATE */
export function readNamed(path: string): NamedFile {
  try {
    return { path, bytes: readFileSync(path) };
  } catch (cause) {
    const errno = errnoOf(cause);
    const [reason, cure] = REASONS[errno] ?? [
      `the file cannot be read (${errno})`,
      "Check the file",
    ];
    throw new ProxyError("ERR_CERTIFICATE", `${path}: ${reason}`, { cause, cure });
  }
}

/** Nothing has changed that connections would notice. */
export function sameCertificates(a: KeptCertificates, b: KeptCertificates): boolean {
  return Bun.deepEquals(revealed(a), revealed(b));
}
