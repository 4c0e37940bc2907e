// Makes a DNS provider by its name. Credentials are looked for when it is made, so that what is missing is told at once, and
// again for each operation: a file that was changed, or a session token that a tool renewed, is used from then on. Called for the
// dns-01 solver and for `proxy dns-check`.

import { homedir } from "node:os";
import { join } from "node:path";

import type { Dns01Plan, DnsProviderName } from "../../../shared/auto-tls-plan.ts";
import { CREDENTIAL_NAMES } from "../../../shared/dns-credentials.ts";
import { ProxyError } from "../../../shared/errors.ts";
import type { DnsProvider } from "../provider.ts";
import { Alidns } from "./alidns.ts";
import type { ApiOptions } from "./api.ts";
import { readAwsProfile } from "./aws-profile.ts";
import { readRole } from "./aws-role.ts";
import { Cloudflare } from "./cloudflare.ts";
import { checkSecret, Credentials, readSmallFile, textOf } from "./credentials.ts";
import { DigitalOcean } from "./digitalocean.ts";
import { GoDaddy } from "./godaddy.ts";
import { type AwsCredentials, Route53 } from "./route53.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Nothing is sent to the provider yet.
 * @param environment where credentials are that no file is named for
 * @param options for tests: an API of theirs
 * @throws ProxyError ERR_CONFIG, with all names that would do, if credentials are missing or cannot be read; also later, by what
 * the provider does
 */
export async function createDnsProvider(
  { provider, credentialFiles }: Pick<Dns01Plan, "provider" | "credentialFiles">,
  environment: Environment = process.env,
  options: ApiOptions = {},
): Promise<DnsProvider> {
  const credentials = new Credentials(provider, { files: credentialFiles, environment });
  const make = (): Promise<DnsProvider> => MAKERS[provider](credentials, options);
  const { name } = await make();
  return {
    name,
    add: async (...args) => (await make()).add(...args),
    remove: async (...args) => (await make()).remove(...args),
    find: async (...args) => (await make()).find(...args),
  };
}

type Make = (credentials: Credentials, options: ApiOptions) => Promise<DnsProvider>;

const MAKERS: Readonly<Record<DnsProviderName, Make>> = {
  cloudflare,
  alidns,
  route53: async (credentials, options) => new Route53(await awsCredentials(credentials), options),
  digitalocean: async (credentials, options) => {
    const { token } = CREDENTIAL_NAMES.digitalocean;
    return new DigitalOcean(await credentials.need("an API token", token), options);
  },
  godaddy,
};

async function cloudflare(credentials: Credentials, options: ApiOptions): Promise<DnsProvider> {
  const names = CREDENTIAL_NAMES.cloudflare;
  const hasKey = ["CLOUDFLARE_API_KEY", "CF_API_KEY"].some(
    (name) => name in credentials.environment,
  );
  const hint = hasKey ? ". The global API key, which may do everything, is not taken" : "";
  const token = await credentials.need("an API token", names.token, hint);
  return new Cloudflare({ token, zoneToken: await credentials.find(names.zoneToken) }, options);
}

async function alidns(credentials: Credentials, options: ApiOptions): Promise<DnsProvider> {
  const names = CREDENTIAL_NAMES.alidns;
  return new Alidns(
    {
      keyId: await credentials.need("the id of an access key", names.keyId),
      keySecret: await credentials.need("the secret of the access key", names.keySecret),
      securityToken: await credentials.find(names.securityToken),
      region: await credentials.findText(names.region),
    },
    options,
  );
}

async function godaddy(credentials: Credentials, options: ApiOptions): Promise<DnsProvider> {
  const names = CREDENTIAL_NAMES.godaddy;
  const key = await credentials.find(names.key);
  const secret = await credentials.find(names.secret);
  if (key !== null && secret !== null) return new GoDaddy({ key, secret }, options);
  const hint = `, and ${names.secret.join(", ")} as well; or ${names.pair.join(" or ")} with both, as key:secret`;
  if (key !== null) throw credentials.missing("the secret of the API key", names.secret);
  const pair = await credentials.find(names.pair);
  if (pair === null) throw credentials.missing("an API key", names.key, hint);
  const [, first, second] = /^([^:]+):(.+)$/.exec(textOf(pair)) ?? [];
  if (first === undefined || second === undefined) {
    throw new ProxyError("ERR_CONFIG", "GoDaddy: GODADDY_TOKEN has no key:secret in it", {
      cure: "Write the API key, a colon and the API secret",
    });
  }
  return new GoDaddy(
    { key: checkSecret("GODADDY_TOKEN", first), secret: checkSecret("GODADDY_TOKEN", second) },
    options,
  );
}

const AWS_LIMITS =
  "SSO, credential_process, web identities and roles that are assumed are not supported";

/** As AWS's tools: of the environment or of named files, then of a profile, then of the role of this machine. */
async function awsCredentials(credentials: Credentials): Promise<AwsCredentials> {
  const names = CREDENTIAL_NAMES.route53;
  const keyId = await credentials.find(names.keyId);
  const keySecret = await credentials.find(names.keySecret);
  const others = {
    region: await credentials.findText(names.region),
    hostedZone: await credentials.findText(names.hostedZone),
  };
  if (keyId !== null && keySecret !== null) {
    const sessionToken = await credentials.find(names.sessionToken);
    return { keyId, keySecret, sessionToken, ...others };
  }
  if (keyId !== null) throw credentials.missing("the secret of the access key", names.keySecret);
  if (keySecret !== null) throw credentials.missing("the id of the access key", names.keyId);
  return { ...(await awsProfileOrRole(credentials)), ...others };
}

type AwsKeys = Pick<AwsCredentials, "keyId" | "keySecret" | "sessionToken">;

async function awsProfileOrRole(credentials: Credentials): Promise<AwsKeys> {
  const { environment } = credentials;
  const home = environment["HOME"] ?? homedir();
  const named = environment["AWS_SHARED_CREDENTIALS_FILE"];
  const path = named ?? join(home, ".aws", "credentials");
  const wanted = environment["AWS_PROFILE"];
  const name = wanted ?? "default";
  const missing = (problem: string): ProxyError =>
    credentials.missing(
      `an access key${problem}`,
      CREDENTIAL_NAMES.route53.keyId,
      `, and AWS_SECRET_ACCESS_KEY as well; or write both into ${path}, profile ${name} (AWS_PROFILE). ${AWS_LIMITS}`,
    );
  const isAsked = named !== undefined || wanted !== undefined;
  const text = await readProfiles(path, isAsked);
  const profile = text === null ? null : readAwsProfile(text, name);
  if (profile === null && wanted !== undefined) throw missing(`: ${path} has no profile ${name}`);
  if (profile === null) {
    const keys = await readRole(environment);
    if (keys === null) throw missing(", and this machine has no role");
    return awsKeys("the role of this machine", keys);
  }
  const { keyId, keySecret, sessionToken, settings } = profile;
  if (keyId === undefined || keySecret === undefined) {
    const has = settings.join(", ") || "nothing";
    throw missing(`: the profile ${name} in ${path} has none, but ${has}`);
  }
  return awsKeys(`the profile ${name} in ${path}`, { keyId, keySecret, sessionToken });
}

/** null: there is no such file, and nobody asked for it. */
async function readProfiles(path: string, isAsked: boolean): Promise<string | null> {
  try {
    return await readSmallFile("AWS_SHARED_CREDENTIALS_FILE", path);
  } catch (error) {
    if (isAsked || !isAbsent(error)) throw error;
    return null;
  }
}

function awsKeys(
  from: string,
  keys: { keyId: string; keySecret: string; sessionToken: string | undefined },
): AwsKeys {
  return {
    keyId: checkSecret(from, keys.keyId),
    keySecret: checkSecret(from, keys.keySecret),
    sessionToken: keys.sessionToken === undefined ? null : checkSecret(from, keys.sessionToken),
  };
}

function isAbsent(error: unknown): boolean {
  const cause = error instanceof ProxyError ? error.cause : null;
  return (cause as { code?: unknown } | null)?.code === "ENOENT";
}
