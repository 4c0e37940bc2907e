// `proxy trust`: says which root the internal authority has and how to trust it, or makes this machine trust it (-install) and
// forget it (-uninstall). What it runs is shown before it runs.

import type { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { defineCommand } from "citty";

import {
  commonNameOf,
  readRootCertificate,
  rootFiles,
} from "../control/acme/internal-authority.ts";
import { compile } from "../control/compile.ts";
import { browserStores, person, trustMachine } from "../control/trust/machine.ts";
import { changeStores } from "../control/trust/run.ts";
import { formatCommand, type Machine, type Store, systemStore } from "../control/trust/stores.ts";
import { AUTO_TLS_DEFAULTS } from "../shared/auto-tls-limits.ts";
import { errnoOf, ProxyError } from "../shared/errors.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";
import { print, styleFor } from "./terminal.ts";
import { CERTUTIL_MISSING, explanation, type RootFacts } from "./trust-text.ts";

const ARGS = {
  install: { type: "boolean", description: "make this machine trust the root; needs root" },
  uninstall: { type: "boolean", description: "make it forget the root again" },
  browsers: {
    type: "boolean",
    description:
      "of this user's browsers alone (Linux): without the system's store, and without root",
  },
  storage: {
    type: "string",
    valueHint: "FOLDER",
    description: `auto_tls: storage (default: ${AUTO_TLS_DEFAULTS.storage})`,
  },
  config: {
    type: "string",
    valueHint: "FILE",
    description: "a configuration file that has auto_tls, instead of -storage",
  },
} as const;

interface TrustFlags {
  readonly install?: boolean | undefined;
  readonly uninstall?: boolean | undefined;
  readonly browsers?: boolean | undefined;
  readonly storage?: string | undefined;
  readonly config?: string | undefined;
}

export const TRUST_EXAMPLES: readonly Example[] = [
  ["proxy trust -config proxy.yaml", "which root it is, and what to do here and on phones"],
  ["sudo proxy trust -install -config proxy.yaml", "this machine and its browsers trust it"],
];

export const trust = defineCommand({
  meta: { name: "trust", description: "trust the authority that signs internal names" },
  args: ARGS,
  run: async ({ args }): Promise<number> => {
    if (args.install === true && args.uninstall === true) {
      throw new ProxyError("ERR_USAGE", "-install and -uninstall cannot be given together");
    }
    const folder = await storageOf(args);
    const { root, certificate } = await rootOf(folder);
    const found = storesOf(args);
    if (args.install === true || args.uninstall === true)
      await change(args, root, certificate, found);
    else {
      const { system, browsers, lacksCertutil } = found;
      const around = { system, browsers, lacksCertutil, call: callOf(args), wantsSudo };
      await print(explanation(root, around, styleFor(process.stdout)));
    }
    return 0;
  },
});

const isRoot = process.getuid?.() === 0;
/** Windows refuses by itself, and says so. */
const wantsSudo = process.platform !== "win32" && !isRoot;

async function storageOf({ storage, config }: TrustFlags): Promise<string> {
  if (config === undefined) return resolve(storage ?? AUTO_TLS_DEFAULTS.storage);
  if (storage !== undefined) {
    throw new ProxyError("ERR_USAGE", "-config cannot be given together with -storage");
  }
  const { autoTls } = compile(await readConfig({ config }), thisMachine());
  if (autoTls !== null) return autoTls.storage;
  throw new ProxyError("ERR_USAGE", `${config} has no auto_tls, so that it keeps no authority`, {
    cure: "Name its folder: -storage FOLDER",
  });
}

/** @throws ProxyError ERR_STORAGE if there is none. */
async function rootOf(folder: string): Promise<{ root: RootFacts; certificate: X509Certificate }> {
  const { certificateFile } = rootFiles(folder);
  const certificate = await readable(folder, certificateFile);
  if (certificate === null) {
    throw new ProxyError("ERR_STORAGE", `${certificateFile}: there is no internal authority yet`, {
      cure: "Start the proxy once, with a name in auto_tls that it signs itself (localhost, app.internal), or name its folder",
    });
  }
  const root = {
    file: certificateFile,
    name: commonNameOf(certificate),
    thumbprint: certificate.fingerprint.replaceAll(":", ""),
    fingerprint256: certificate.fingerprint256,
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
  };
  return { root, certificate };
}

/** The folder belongs to the user that the proxy runs as. */
async function readable(folder: string, file: string): Promise<X509Certificate | null> {
  try {
    return await readRootCertificate(folder);
  } catch (cause) {
    if (!wantsSudo || errnoOf((cause as Error).cause) !== "EACCES") throw cause;
    const problem = `${file} belongs to another user, whom the proxy runs as`;
    throw new ProxyError("ERR_STORAGE", problem, { cause, cure: "Run it with sudo" });
  }
}

interface Found {
  /** null: it is not known, or not asked for. */
  readonly system: Store | null;
  readonly browsers: readonly Store[];
  readonly lacksCertutil: boolean;
}

function storesOf({ browsers: alone }: TrustFlags): Found {
  const machine: Machine = trustMachine();
  const system = alone === true ? null : systemStore(machine);
  if (machine.platform !== "linux") return { system, browsers: [], lacksCertutil: false };
  const browsers = browserStores(person(process.env, isRoot));
  const lacksCertutil = browsers.length > 0 && !machine.hasProgram("certutil");
  return { system, browsers: lacksCertutil ? [] : browsers, lacksCertutil };
}

async function change(
  flags: TrustFlags,
  root: RootFacts,
  certificate: X509Certificate,
  found: Found,
): Promise<void> {
  const action = flags.install === true ? "install" : "uninstall";
  const { system, browsers, lacksCertutil } = found;
  if (system !== null && wantsSudo) {
    const problem = "the system's store of authorities belongs to root";
    throw new ProxyError("ERR_SYSTEM", problem, {
      cure: `Run sudo ${callOf(flags)} -${action}, or add -browsers for the browsers of this user alone`,
    });
  }
  const stores = system === null ? browsers : [system, ...browsers];
  if (stores.length === 0) {
    throw new ProxyError("ERR_SYSTEM", "no store of authorities is known here", {
      cure: lacksCertutil ? CERTUTIL_MISSING : `${callOf(flags)} says what can be done by hand`,
    });
  }
  const shown = (line: string): Promise<void> => print(`$ ${line}`);
  await withCopy(certificate, (file) => changeStores(stores, action, { ...root, file }, shown));
  const done = action === "install" ? "is trusted now" : "is trusted no more";
  await print(`${root.name} ${done}. Browsers that run see it after a restart.`);
  if (lacksCertutil) await print(CERTUTIL_MISSING);
}

/**
 * What was read and shown is what is installed: the storage belongs to the proxy's user, who could exchange the file for another
 * before root's commands read it.
 */
async function withCopy(
  certificate: X509Certificate,
  use: (file: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "proxy-trust-"));
  try {
    const file = join(folder, "root.pem");
    writeFileSync(file, certificate.toString(), { mode: 0o644 });
    await use(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** To be repeated with something added. */
function callOf({ storage, config, browsers }: TrustFlags): string {
  const words = ["proxy", "trust"];
  if (storage !== undefined) words.push("-storage", storage);
  if (config !== undefined) words.push("-config", config);
  if (browsers === true) words.push("-browsers");
  return formatCommand({ words, stdin: null });
}
