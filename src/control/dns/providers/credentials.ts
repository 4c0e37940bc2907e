// Credentials of DNS providers: under which names each is looked for, and where: files that the configuration names, the
// environment, and files that the environment names (NAME_FILE, as containers have it). Read anew for each provider that is
// made. An error names the names, never a value. Called by create.ts.

import { readFile } from "node:fs/promises";

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import type { DnsProviderName } from "../../../shared/auto-tls-plan.ts";
import { credentialNames } from "../../../shared/dns-credentials.ts";
import { ProxyError } from "../../../shared/errors.ts";
import { Secret } from "../../../shared/secret.ts";

/** How messages call the providers. */
export const PROVIDER_TITLES: Readonly<Record<DnsProviderName, string>> = {
  cloudflare: "Cloudflare",
  alidns: "Alibaba Cloud DNS",
  route53: "Route 53",
  digitalocean: "DigitalOcean",
  godaddy: "GoDaddy",
};

export interface CredentialSources {
  /** Dns01Plan.credentialFiles: name to file. Before the environment. */
  readonly files: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export class Credentials {
  readonly provider: DnsProviderName;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly #files: Readonly<Record<string, string>>;

  /** @throws ProxyError ERR_CONFIG for a file of a name that this provider does not read */
  constructor(provider: DnsProviderName, sources: CredentialSources) {
    this.provider = provider;
    this.environment = sources.environment;
    this.#files = sources.files;
    const names = credentialNames(provider);
    for (const name of Object.keys(sources.files)) {
      if (names.includes(name)) continue;
      throw new ProxyError(
        "ERR_CONFIG",
        `${PROVIDER_TITLES[provider]} has no credential of the name ${name}`,
        { cure: `Use one of ${names.join(", ")}` },
      );
    }
  }

  /** The first of these names that has a value; null: none has. @throws ProxyError ERR_CONFIG */
  async find(names: readonly string[]): Promise<Secret | null> {
    for (const name of names) {
      const file = this.#files[name];
      if (file !== undefined) return readSecret(name, file);
    }
    for (const name of names) {
      const value = this.environment[name];
      if (value !== undefined && value.trim() !== "") return checkSecret(name, value);
      const file = this.environment[`${name}_FILE`];
      if (file !== undefined && file !== "") return readSecret(name, file);
    }
    return null;
  }

  /** As `find`, for a value that is no secret: a region, the id of a zone. */
  async findText(names: readonly string[]): Promise<string | null> {
    const found = await this.find(names);
    return found === null ? null : textOf(found);
  }

  /** @param what it is, for people: `an API token`. @throws ProxyError ERR_CONFIG if it is under none of these names */
  async need(what: string, names: readonly string[], hint = ""): Promise<Secret> {
    const found = await this.find(names);
    if (found !== null) return found;
    throw this.missing(what, names, hint);
  }

  missing(what: string, names: readonly string[], hint = ""): ProxyError {
    const [first, ...others] = names;
    const or = others.length === 0 ? "" : ` (${others.join(", ")} would do too)`;
    return new ProxyError("ERR_CONFIG", `${PROVIDER_TITLES[this.provider]} needs ${what}`, {
      cure: `Set ${first}${or} in the environment, or ${first}_FILE or auto_tls.dns.credentials to a file that has it${hint}`,
    });
  }
}

/** For a request. Never for messages to people. */
export function textOf(secret: Secret): string {
  return new TextDecoder().decode(secret.reveal());
}

async function readSecret(name: string, path: string): Promise<Secret> {
  return checkSecret(name, await readSmallFile(name, path));
}

/** @throws ProxyError ERR_CONFIG */
export async function readSmallFile(name: string, path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const errno = (error as { code?: string }).code ?? "unknown error";
    throw new ProxyError("ERR_CONFIG", `${path}: the file of ${name} cannot be read (${errno})`, {
      cause: error,
      cure: "Check its path and permissions",
    });
  }
  if (bytes.length > DNS_API.credentialMaxBytes) {
    throw new ProxyError("ERR_CONFIG", `${path}: the file of ${name} has ${bytes.length} bytes`, {
      cure: `${DNS_API.credentialMaxBytes} are the most: check that it is the right file`,
    });
  }
  return bytes.toString("utf8");
}

/** In one line of visible ASCII: anything else would fail as a field of HTTP, with a message of the runtime that shows it. */
export function checkSecret(name: string, value: string): Secret {
  const trimmed = value.trim();
  if (/^[\x21-\x7e]+$/.test(trimmed)) return Secret.of(new TextEncoder().encode(trimmed));
  const problem = trimmed === "" ? "is empty" : "has other characters than visible ASCII";
  throw new ProxyError("ERR_CONFIG", `The value of ${name} ${problem}`, {
    cure: "Check that it was copied whole, and nothing else with it",
  });
}
