// `proxy certificates`: what the folder of automatic certificates has, read from its files alone, so that it does not matter
// whether a proxy uses them at the time; and what is asked of whoever does.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { defineCommand } from "citty";

import { suggest } from "../config/nearest.ts";
import { takeInventory } from "../control/acme/inventory.ts";
import { REVOCATION_REASONS } from "../control/acme/issuer.ts";
import { findRecord, renewStored, revokeStored } from "../control/acme/maintenance.ts";
import { CertificateStorage } from "../control/acme/storage.ts";
import { compile } from "../control/compile.ts";
import { AUTO_TLS_DEFAULTS, MAINTENANCE } from "../shared/auto-tls-limits.ts";
import type { AuthorityPlan } from "../shared/auto-tls-plan.ts";
import { parseCertificateName } from "../shared/certificate-names.ts";
import { ProxyError } from "../shared/errors.ts";
import { formatInventory, inventoryJson, isUnwell } from "./certificates-text.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";
import { print } from "./terminal.ts";

export const CERTIFICATES_EXAMPLES: readonly Example[] = [
  ["proxy certificates", "those in ./certificates; exit code 1 if one has expired or is missing"],
  ["proxy certificates -config proxy.yaml -json", "those of a configuration, for programs"],
  ["proxy certificates renew example.com", "has the proxy that uses it renew it, and waits"],
  [
    "proxy certificates revoke example.com -reason keyCompromise",
    "its key is known to others; the proxy that uses it orders another",
  ],
];

const REASONS = Object.keys(REVOCATION_REASONS);

export const certificates = defineCommand({
  meta: { name: "certificates", description: "list, renew and revoke automatic certificates" },
  args: {
    action: { type: "positional", required: false, description: "renew or revoke; else: list" },
    name: { type: "positional", required: false, description: "a name of the certificate" },
    config: {
      type: "string",
      valueHint: "proxy.yaml",
      description: "the file whose auto_tls says where they are",
    },
    storage: {
      type: "string",
      valueHint: AUTO_TLS_DEFAULTS.storage,
      description: "the folder itself, if there is no file",
    },
    reason: {
      type: "string",
      valueHint: "superseded",
      description: `of revoke: ${REASONS.join(", ")}`,
    },
    json: { type: "boolean", description: "of the list: print JSON" },
  },
  run: async ({ args }): Promise<number> => {
    const { action, name, json, reason } = args;
    const wanted = actionOf(action, name, { json, reason });
    const { folder, authorities, wanted: configured } = await placeOf(args.config, args.storage);
    const storage = new CertificateStorage(folder);
    if (wanted === "list") return list(storage, configured, json === true);
    const record = await findRecord(storage, parseCertificateName(name!));
    const [first = ""] = record.names;
    if (wanted === "renew") {
      await print(`waiting for the proxy that uses ${folder}, which looks there once a minute`, 2);
      const failure = await renewStored(storage, record, sleep);
      if (failure !== null)
        throw new ProxyError("ERR_ISSUE", `${first} is not renewed: ${failure}`);
      await print(`${first} is renewed`);
      return 0;
    }
    const number = REVOCATION_REASONS[(reason ?? "unspecified") as keyof typeof REVOCATION_REASONS];
    const signal = AbortSignal.timeout(MAINTENANCE.revokeMs);
    await revokeStored(storage, record, number, authorities, signal);
    await print(`${first} is revoked, and removed from ${folder}`);
    return 0;
  },
});

async function list(
  storage: CertificateStorage,
  wanted: StoragePlace["wanted"],
  json: boolean,
): Promise<number> {
  const nowMs = Date.now();
  const entries = await takeInventory(storage, wanted);
  if (json) await print(inventoryJson(entries, nowMs));
  else if (entries.length === 0) await print(`there are no certificates in ${storage.folder}`);
  else await print(formatInventory(entries, nowMs));
  return entries.some((entry) => isUnwell(entry, nowMs)) ? 1 : 0;
}

const ACTIONS = ["renew", "revoke"] as const;

interface Said {
  readonly json: boolean | undefined;
  readonly reason: string | undefined;
}

/** @throws ProxyError ERR_USAGE */
function actionOf(
  action: string | undefined,
  name: string | undefined,
  { json, reason }: Said,
): "list" | (typeof ACTIONS)[number] {
  const faults: string[] = [];
  const known = ACTIONS.find((each) => each === action);
  if (action !== undefined && known === undefined) {
    faults.push(`unknown action "${action}". ${suggest(action, ACTIONS)}`);
  } else if (known !== undefined && name === undefined) {
    faults.push(`which certificate? Write proxy certificates ${known} example.com`);
  }
  if (json === true && action !== undefined) faults.push("-json is for the list alone");
  if (reason !== undefined && known !== "revoke") faults.push("-reason is for revoke");
  else if (reason !== undefined && !REASONS.includes(reason)) {
    faults.push(`-reason: "${reason}" is not one of ${REASONS.join(", ")}`);
  }
  if (faults.length > 0) throw new ProxyError("ERR_USAGE", faults.join("\n"));
  return known ?? "list";
}

interface StoragePlace {
  readonly folder: string;
  /** Of a configuration. */
  readonly authorities: readonly AuthorityPlan[];
  readonly wanted: readonly (readonly string[])[];
}

/** @throws ProxyError ERR_USAGE, ERR_CONFIG */
async function placeOf(
  config: string | undefined,
  storage: string | undefined,
): Promise<StoragePlace> {
  if (config !== undefined && storage !== undefined) {
    throw new ProxyError(
      "ERR_USAGE",
      "-config says where the storage is. Leave one of the two out",
    );
  }
  if (config === undefined) {
    const folder = resolve(storage ?? AUTO_TLS_DEFAULTS.storage);
    if (storage === undefined || existsSync(folder)) return { folder, authorities: [], wanted: [] };
    throw new ProxyError("ERR_USAGE", `-storage: there is no folder ${folder}`);
  }
  const { autoTls } = compile(await readConfig({ config }), thisMachine());
  if (autoTls === null) throw new ProxyError("ERR_CONFIG", `${config}: there is no auto_tls in it`);
  const { storage: folder, authorities, certificates: wanted } = autoTls;
  return { folder, authorities, wanted };
}
