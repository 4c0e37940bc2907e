// Credentials of the role that AWS gives a task, a pod or an instance: asked of the address that the environment names (ECS
// and EKS), or of an instance's metadata service, version 2. Called by create.ts, where there is no key elsewhere. Not by
// `fetch`: that would send what is for this machine alone to a proxy, if one is configured.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html and feature-imds-credentials.html
//
// Invariant: a token and what is answered to it are in no error.

import { readFile } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import { messageOf, ProxyError } from "../../../shared/errors.ts";
import { readSmallFile } from "./credentials.ts";
import { asText, at, parsed } from "./json.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface RoleKeys {
  readonly keyId: string;
  readonly keySecret: string;
  readonly sessionToken: string;
}

const ECS = "http://169.254.170.2";
const IMDS = "http://169.254.169.254";
const IMDS_ROLES = "/latest/meta-data/iam/security-credentials/";
/** Who may be asked without TLS: this machine, ECS, and EKS over either version of IP. */
const CLEAR_HOSTS = [
  "localhost",
  "127.0.0.1",
  "[::1]",
  "169.254.170.2",
  "169.254.170.23",
  "[fd00:ec2::23]",
];

/**
 * @param vendorFile tells of an instance, so that no other machine waits for an address that does not answer
 * @returns null: nobody gives roles here
 * @throws ProxyError ERR_CONFIG for an address that may not be asked; ERR_DNS_PROVIDER if it has no answer
 */
export async function readRole(
  environment: Environment,
  vendorFile = "/sys/class/dmi/id/sys_vendor",
): Promise<RoleKeys | null> {
  const relative = environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"];
  const full = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"];
  if (relative !== undefined) return taskRole(relative);
  if (full !== undefined) return containerRole(full, environment);
  if (environment["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true") return null;
  const named = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
  if (named === undefined && !(await isInstance(vendorFile))) return null;
  return instanceRole(named ?? IMDS);
}

async function taskRole(path: string): Promise<RoleKeys> {
  if (!path.startsWith("/")) {
    throw new ProxyError("ERR_CONFIG", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path", {
      cure: "Leave it as ECS sets it",
    });
  }
  return keysIn(await ask("GET", new URL(`${ECS}${path}`), {}));
}

async function containerRole(address: string, environment: Environment): Promise<RoleKeys> {
  const url = URL.parse(address);
  const isAllowed =
    url?.protocol === "https:" || (url?.protocol === "http:" && CLEAR_HOSTS.includes(url.hostname));
  if (url === null || !isAllowed) {
    throw new ProxyError("ERR_CONFIG", "AWS_CONTAINER_CREDENTIALS_FULL_URI may not be asked", {
      cure: `Use https, or an address of this machine, ECS or EKS: ${CLEAR_HOSTS.join(", ")}`,
    });
  }
  const tokenFile = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
  const token =
    tokenFile === undefined
      ? environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
      : await readSmallFile("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", tokenFile);
  const authorization = token?.trim() ?? "";
  return keysIn(await ask("GET", url, authorization === "" ? {} : { authorization }));
}

/** An instance without a role has no name of one. */
async function instanceRole(endpoint: string): Promise<RoleKeys | null> {
  const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": "300" };
  const token = await ask("PUT", new URL("/latest/api/token", endpoint), ttl);
  const headers = { "x-aws-ec2-metadata-token": token.text.trim() };
  const roles = await ask("GET", new URL(IMDS_ROLES, endpoint), headers, [404]);
  const [role = ""] = roles.status === 404 ? [] : roles.text.trim().split("\n");
  if (role === "") return null;
  const path = `${IMDS_ROLES}${encodeURIComponent(role)}`;
  return keysIn(await ask("GET", new URL(path, endpoint), headers));
}

async function isInstance(vendorFile: string): Promise<boolean> {
  const vendor = await readFile(vendorFile, "utf8").catch(() => ""); // not there on other systems
  return vendor.startsWith("Amazon EC2");
}

interface Answer {
  readonly from: URL;
  readonly status: number;
  readonly text: string;
}

function keysIn({ from, text }: Answer): RoleKeys {
  const body = parsed(text);
  const keys = {
    keyId: asText(at(body, "AccessKeyId")),
    keySecret: asText(at(body, "SecretAccessKey")),
    sessionToken: asText(at(body, "Token")),
  };
  if (Object.values(keys).includes("")) throw failure(from, "the answer has no key in it");
  return keys;
}

function failure(from: URL, problem: string): ProxyError {
  const message = `Route 53: asking ${from.host} for the credentials of this machine's role failed: ${problem}`;
  return new ProxyError("ERR_DNS_PROVIDER", message, {
    cure: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY if it has none",
  });
}

/** Cut off at the limit of size, and given up in time. @throws ProxyError ERR_DNS_PROVIDER */
async function ask(
  method: "GET" | "PUT",
  url: URL,
  headers: Record<string, string>,
  expected: readonly number[] = [],
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const request = send(url, { method, headers, agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => {
      text += part;
      if (text.length <= DNS_API.credentialMaxBytes) return;
      request.destroy();
      reject(failure(url, "the answer is too long"));
    });
    response.on("error", reject);
    response.on("end", () => resolve({ from: url, status: response.statusCode ?? 0, text }));
  });
  request.on("error", (error) => reject(failure(url, messageOf(error))));
  const timer = setTimeout(() => {
    request.destroy();
    reject(failure(url, `no answer within ${DNS_API.roleTimeoutMs / 1000} s`));
  }, DNS_API.roleTimeoutMs);
  request.end();
  try {
    const answer = await promise;
    if (answer.status === 200 || expected.includes(answer.status)) return answer;
    throw failure(url, `status ${answer.status}`);
  } finally {
    clearTimeout(timer);
  }
}
