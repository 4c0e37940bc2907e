// Which certificate a client is shown, by the name that it asks for: those of files by what is in them, managed ones by what the
// plan wants of them. Pure. Called by streams.ts and http.ts.

import { ByName } from "../protocols/wire/by-name.ts";
import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import type { TlsServerPlan } from "../shared/http-plan.ts";
import { isInternalName } from "../shared/internal-names.ts";

/** What a file says, or why it says nothing. */
export type FileNames = { readonly names: readonly string[] } | { readonly fault: string };

/** By CertificatePlan.certFile. */
export type CertificateFiles = ReadonlyMap<string, FileNames>;

interface Shown {
  readonly names: readonly string[];
  /** For people. */
  readonly context: string;
}

export function certificateFor(
  tls: TlsServerPlan,
  sni: string | null,
  files: CertificateFiles,
  autoTls: AutoTlsPlan | null,
): string {
  const shown = [...ofFiles(tls, files), ...(tls.managed && autoTls ? managed(autoTls) : [])];
  const asked = sni === null ? "a client that names nobody" : sni;
  if (shown.length === 0) {
    return tls.onDemand ? demanded(asked, autoTls) : `none is there for ${asked}`;
  }
  const table = new ByName(shown);
  const found = table.find(sni ?? "");
  if (sni !== null && table.covers(sni)) return found;
  if (tls.onDemand && sni !== null) return demanded(asked, autoTls);
  return `${found}: the first, since none covers ${asked}`;
}

function ofFiles({ certificates }: TlsServerPlan, files: CertificateFiles): Shown[] {
  return certificates.map(({ certFile }) => {
    const read = files.get(certFile);
    if (read === undefined) return { names: [], context: certFile };
    if ("fault" in read) return { names: [], context: `${certFile} (${read.fault})` };
    return { names: read.names, context: `${certFile}, for ${read.names.join(", ") || "no name"}` };
  });
}

function managed({ certificates, authorities, internal }: AutoTlsPlan): Shown[] {
  return certificates.map((names) => {
    const isOurs = authorities.length === 0 || (internal && names.some(isInternalName));
    const who = isOurs ? "this machine's own authority" : authorities[0]!.name;
    return { names, context: `obtained of ${who}, for ${names.join(", ")}` };
  });
}

function demanded(asked: string, autoTls: AutoTlsPlan | null): string {
  const plan = autoTls?.onDemand ?? null;
  if (plan === null) return `none covers ${asked}`;
  const domains =
    plan.domains.length === 0 ? [] : [`on_demand has it (${plan.domains.join(", ")})`];
  const ask = plan.ask === null ? [] : [`${plan.ask} allows it`];
  return `obtained for ${asked} at its first handshake, if ${[...domains, ...ask].join(" and ")}`;
}
