// `proxy certificates`: what the folder of automatic certificates has, read from its files alone, so that it does not matter
// whether a proxy uses them at the time.

import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { defineCommand } from "citty";

import { takeInventory } from "../control/acme/inventory.ts";
import { CertificateStorage } from "../control/acme/storage.ts";
import { compile } from "../control/compile.ts";
import { AUTO_TLS_DEFAULTS } from "../shared/auto-tls-limits.ts";
import { ProxyError } from "../shared/errors.ts";
import { formatInventory, inventoryJson, isUnwell } from "./certificates-text.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";
import { print } from "./terminal.ts";

export const CERTIFICATES_EXAMPLES: readonly Example[] = [
  ["proxy certificates", "those in ./certificates; exit code 1 if one has expired or is missing"],
  ["proxy certificates -config proxy.yaml -json", "those of a configuration, for programs"],
];

export const certificates = defineCommand({
  meta: { name: "certificates", description: "list automatic certificates" },
  args: {
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
    json: { type: "boolean", description: "print JSON" },
  },
  run: async ({ args }): Promise<number> => {
    const folder = await folderOf(args.config, args.storage);
    const nowMs = Date.now();
    const entries = await takeInventory(new CertificateStorage(folder));
    if (args.json === true) await print(inventoryJson(entries, nowMs));
    else if (entries.length === 0) await print(`there are no certificates in ${folder}`);
    else await print(formatInventory(entries, nowMs));
    return entries.some((entry) => isUnwell(entry, nowMs)) ? 1 : 0;
  },
});

/** @throws ProxyError ERR_USAGE, ERR_CONFIG */
async function folderOf(config: string | undefined, storage: string | undefined): Promise<string> {
  if (config !== undefined && storage !== undefined) {
    throw new ProxyError(
      "ERR_USAGE",
      "-config says where the storage is. Leave one of the two out",
    );
  }
  if (config === undefined) {
    const folder = resolve(storage ?? AUTO_TLS_DEFAULTS.storage);
    if (storage === undefined || existsSync(folder)) return folder;
    throw new ProxyError("ERR_USAGE", `-storage: there is no folder ${folder}`);
  }
  const { autoTls } = compile(await readConfig({ config }), thisMachine());
  if (autoTls !== null) return autoTls.storage;
  throw new ProxyError("ERR_CONFIG", `${config}: there is no auto_tls in it`);
}
