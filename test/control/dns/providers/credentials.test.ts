// Where credentials are looked for, which win, and what is said when there are none.

import { expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createDnsProvider } from "../../../../src/control/dns/providers/create.ts";
import type { DnsProviderName } from "../../../../src/shared/auto-tls-plan.ts";
import { credentialNames } from "../../../../src/shared/dns-credentials.ts";
import { ProxyError } from "../../../../src/shared/errors.ts";
import { FakeCloudflare } from "../../../support/dns-apis/cloudflare.ts";
import { FakeDigitalOcean } from "../../../support/dns-apis/digitalocean.ts";
import { FakeGoDaddy } from "../../../support/dns-apis/godaddy.ts";
import { FakeRoute53 } from "../../../support/dns-apis/route53.ts";

const NAME = "_acme-challenge.example.com";
const NEVER = new AbortController().signal;
type Environment = Record<string, string>;

interface Folder extends AsyncDisposable {
  write(name: string, text: string): Promise<string>;
  readonly path: string;
}

async function folder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "credentials-"));
  return {
    path,
    write: async (name, text) => {
      const file = join(path, name);
      await mkdir(join(file, ".."), { recursive: true });
      await writeFile(file, text);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

async function refusal(
  provider: DnsProviderName,
  environment: Environment,
  credentialFiles: Environment = {},
): Promise<string> {
  const error: unknown = await createDnsProvider(
    { provider, credentialFiles },
    { HOME: "/nonexistent", ...environment },
  ).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProxyError) || error.code !== "ERR_CONFIG") {
    throw new Error("not refused", { cause: error });
  }
  return error.message;
}

/** Whether the API takes what the provider found. */
async function works(
  provider: DnsProviderName,
  api: FakeCloudflare | FakeDigitalOcean | FakeGoDaddy | FakeRoute53,
  environment: Environment,
  credentialFiles: Environment = {},
): Promise<void> {
  if (api.zones.length === 0) api.zone("example.com");
  const made = await createDnsProvider({ provider, credentialFiles }, environment, {
    endpoint: api.endpoint,
  });
  expect(await made.find(NAME, ["value"], NEVER)).toEqual([]);
}

test("what is missing is told with the provider, all names that would do, and the cure", async () => {
  expect(await refusal("cloudflare", {})).toBe(
    "Cloudflare needs an API token. Set CLOUDFLARE_API_TOKEN (CF_API_TOKEN, CLOUDFLARE_DNS_API_TOKEN, " +
      "CF_DNS_API_TOKEN would do too) in the environment, or CLOUDFLARE_API_TOKEN_FILE or auto_tls.dns.credentials " +
      "to a file that has it",
  );
  expect(await refusal("digitalocean", {})).toBe(
    "DigitalOcean needs an API token. Set DIGITALOCEAN_TOKEN (DO_AUTH_TOKEN, DIGITALOCEAN_ACCESS_TOKEN " +
      "would do too) in the environment, or DIGITALOCEAN_TOKEN_FILE or auto_tls.dns.credentials to a file that has it",
  );
  expect(await refusal("godaddy", {})).toContain(
    "or GODADDY_TOKEN or GODADDY_API_TOKEN with both, as key:secret",
  );
  expect(await refusal("route53", { AWS_EC2_METADATA_DISABLED: "true" })).toBe(
    "Route 53 needs an access key, and this machine has no role. Set AWS_ACCESS_KEY_ID in the environment, " +
      "or AWS_ACCESS_KEY_ID_FILE or auto_tls.dns.credentials to a file that has it, and AWS_SECRET_ACCESS_KEY as well; " +
      "or write both into /nonexistent/.aws/credentials, profile default (AWS_PROFILE). " +
      "SSO, credential_process, web identities and roles that are assumed are not supported",
  );
});

test("who has Cloudflare's global key only is told that it is not taken", async () => {
  const message = await refusal("cloudflare", { CF_API_EMAIL: "a@b.c", CF_API_KEY: "k" });
  expect(message).toEndWith(". The global API key, which may do everything, is not taken");
  expect(await refusal("cloudflare", {})).not.toContain("global");
});

test("the half of a pair that is missing is named", async () => {
  const alibaba = await refusal("alidns", { ALIBABA_CLOUD_ACCESS_KEY_ID: "id" });
  expect(alibaba).toStartWith("Alibaba Cloud DNS needs the secret of the access key. Set ALIBABA");
  expect(await refusal("alidns", {})).toStartWith(
    "Alibaba Cloud DNS needs the id of an access key",
  );
  expect(await refusal("godaddy", { GODADDY_API_KEY: "key" })).toContain(
    "Set GODADDY_API_SECRET in",
  );
  expect(await refusal("route53", { AWS_ACCESS_KEY_ID: "id" })).toContain(
    "Set AWS_SECRET_ACCESS_KEY in",
  );
  expect(await refusal("route53", { AWS_SECRET_ACCESS_KEY: "s" })).toContain(
    "Set AWS_ACCESS_KEY_ID in",
  );
  expect(await refusal("godaddy", { GODADDY_TOKEN: "nothing" })).toBe(
    "GoDaddy: GODADDY_TOKEN has no key:secret in it. Write the API key, a colon and the API secret",
  );
});

test("each name that is documented does", async () => {
  await using api = new FakeDigitalOcean();
  const token = api.environment.DIGITALOCEAN_TOKEN;
  for (const name of credentialNames("digitalocean")) {
    await works("digitalocean", api, { [name]: token });
  }
  await using godaddy = new FakeGoDaddy();
  const { GODADDY_API_KEY, GODADDY_API_SECRET } = godaddy.environment;
  for (const name of ["GODADDY_TOKEN", "GODADDY_API_TOKEN"]) {
    await works("godaddy", godaddy, { [name]: `${GODADDY_API_KEY}:${GODADDY_API_SECRET}` });
  }
});

test("a file that the configuration names wins, then the environment, then a file that it names", async () => {
  await using files = await folder();
  await using api = new FakeDigitalOcean();
  const token = api.environment.DIGITALOCEAN_TOKEN;
  const right = await files.write("right", `${token}\n`);
  const wrong = await files.write("wrong", "wrong");
  await works("digitalocean", api, { DIGITALOCEAN_TOKEN: "wrong" }, { DO_AUTH_TOKEN: right });
  await works("digitalocean", api, { DIGITALOCEAN_TOKEN: token, DIGITALOCEAN_TOKEN_FILE: wrong });
  await works("digitalocean", api, { DIGITALOCEAN_TOKEN: " ", DIGITALOCEAN_TOKEN_FILE: right });
  await works("digitalocean", api, { DIGITALOCEAN_TOKEN_FILE: right, DO_AUTH_TOKEN: "wrong" });
});

test("a file that was changed is read again for the next operation", async () => {
  await using files = await folder();
  await using api = new FakeDigitalOcean();
  const file = await files.write("token", "wrong");
  api.zone("example.com");
  const plan = { provider: "digitalocean", credentialFiles: { DIGITALOCEAN_TOKEN: file } } as const;
  const provider = await createDnsProvider(plan, {}, { endpoint: api.endpoint });
  await expect(provider.find(NAME, ["a"], NEVER)).rejects.toThrow("Unable to authenticate you");
  await files.write("token", api.environment.DIGITALOCEAN_TOKEN);
  expect(await provider.find(NAME, ["a"], NEVER)).toEqual([]);
  await rm(file);
  await expect(provider.find(NAME, ["a"], NEVER)).rejects.toThrow(
    `${file}: the file of DIGITALOCEAN_`,
  );
});

test("a file of a name that the provider does not read is refused", async () => {
  expect(await refusal("godaddy", {}, { GODADDY_KEY: "/file" })).toBe(
    "GoDaddy has no credential of the name GODADDY_KEY. Use one of GODADDY_API_KEY, GODADDY_API_SECRET, " +
      "GODADDY_TOKEN, GODADDY_API_TOKEN",
  );
});

test("what cannot be a credential is refused without being shown", async () => {
  await using files = await folder();
  const several = await files.write("several", "s3cr3t-one\ns3cr3t-two");
  const empty = await files.write("empty", "\n");
  const large = await files.write("large", "s3cr3t".repeat(4000));
  const name = "CLOUDFLARE_API_TOKEN";
  const cure = "Check that it was copied whole, and nothing else with it";
  const refused = [
    await refusal("cloudflare", { [name]: "s3cr3t\nX-Other: yes" }),
    await refusal("cloudflare", { [name]: "s3cr3t–" }),
    await refusal("cloudflare", { [`${name}_FILE`]: several }),
    await refusal("cloudflare", {}, { [name]: empty }),
    await refusal("cloudflare", {}, { [name]: large }),
    await refusal("godaddy", { GODADDY_TOKEN: "s3cr3ts3cr3t" }),
  ];
  expect(refused).toEqual([
    `The value of CLOUDFLARE_API_TOKEN has other characters than visible ASCII. ${cure}`,
    `The value of CLOUDFLARE_API_TOKEN has other characters than visible ASCII. ${cure}`,
    `The value of CLOUDFLARE_API_TOKEN has other characters than visible ASCII. ${cure}`,
    `The value of CLOUDFLARE_API_TOKEN is empty. ${cure}`,
    `${large}: the file of CLOUDFLARE_API_TOKEN has 24000 bytes. 16384 are the most: check that it is the right file`,
    "GoDaddy: GODADDY_TOKEN has no key:secret in it. Write the API key, a colon and the API secret",
  ]);
});

test("a file that cannot be read is named with the system's reason", async () => {
  await using files = await folder();
  const file = join(files.path, "absent");
  expect(await refusal("cloudflare", { CLOUDFLARE_API_TOKEN_FILE: file })).toBe(
    `${file}: the file of CLOUDFLARE_API_TOKEN cannot be read (ENOENT). Check its path and permissions`,
  );
  await chmod(files.path, 0o700);
  expect(await refusal("cloudflare", {}, { CF_API_TOKEN: files.path })).toContain("(EISDIR)");
});

test("Cloudflare's second token is for the list of zones, and need not be there", async () => {
  await using api = new FakeCloudflare();
  await works("cloudflare", api, api.environment);
  const { CLOUDFLARE_API_TOKEN, CLOUDFLARE_ZONE_TOKEN } = api.environment;
  await works("cloudflare", api, {
    CF_API_TOKEN: CLOUDFLARE_API_TOKEN,
    CF_ZONE_API_TOKEN: CLOUDFLARE_ZONE_TOKEN,
  });
  await expect(works("cloudflare", api, { CLOUDFLARE_API_TOKEN })).rejects.toThrow(
    "Invalid access token",
  );
});

test("a profile of AWS's credentials file is used where the environment has no key", async () => {
  await using home = await folder();
  await using api = new FakeRoute53();
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = api.environment;
  const keys = [
    `aws_access_key_id = ${AWS_ACCESS_KEY_ID}`,
    `aws_secret_access_key=${AWS_SECRET_ACCESS_KEY}`,
    `aws_session_token = ${AWS_SESSION_TOKEN}`,
  ].join("\n");
  const file = `# keys\n[default]\naws_access_key_id = wrong\n\n[dns]\n${keys}\n[sso]\nsso_session = x\n`;
  const path = await home.write(".aws/credentials", file);
  const HOME = home.path;
  await works("route53", api, { HOME, AWS_PROFILE: "dns" });
  await works("route53", api, { AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: "dns" });
  await works("route53", api, { ...api.environment, HOME, AWS_PROFILE: "other" });
  expect(await refusal("route53", { HOME, AWS_PROFILE: "other" })).toStartWith(
    `Route 53 needs an access key: ${path} has no profile other. Set AWS_ACCESS_KEY_ID`,
  );
  expect(await refusal("route53", { HOME, AWS_PROFILE: "sso" })).toStartWith(
    `Route 53 needs an access key: the profile sso in ${path} has none, but sso_session. Set`,
  );
  expect(await refusal("route53", { AWS_PROFILE: "dns" })).toBe(
    "/nonexistent/.aws/credentials: the file of AWS_SHARED_CREDENTIALS_FILE cannot be read (ENOENT). " +
      "Check its path and permissions",
  );
});
