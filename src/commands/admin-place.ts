// Where a running proxy is asked, for commands that ask one: `-admin ADDRESS`, or the address and the token that a
// configuration names, or the address that everybody begins with. Called by status, reload, connections, targets and top.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import type { ArgsDef } from "citty";

import { checkSource } from "../config/check.ts";
import { loadSource } from "../config/load.ts";
import { suggest } from "../config/nearest.ts";
import { schema } from "../config/schema.ts";
import { AdminClient } from "../control/admin/client.ts";
import { listeners } from "../control/admin/schemas.ts";
import { checkToken } from "../control/certificates/token.ts";
import { type Endpoint, parseEndpoint } from "../shared/address.ts";
import { errnoOf, messageOf, ProxyError } from "../shared/errors.ts";
import { printable } from "../shared/printable.ts";
import type { Secret } from "../shared/secret.ts";

const DEFAULT_ADDRESS = "127.0.0.1:9090";

export const ADMIN_ARGS = {
  admin: {
    type: "string",
    valueHint: DEFAULT_ADDRESS,
    description: `the proxy's admin address, host:port or unix:/path (default: ${DEFAULT_ADDRESS})`,
  },
  config: {
    type: "string",
    valueHint: "proxy.yaml",
    description: "take the address and the token from the proxy's file",
  },
  "token-file": {
    type: "string",
    valueHint: "admin.token",
    description: "the file with the token, if the proxy wants one",
  },
} as const satisfies ArgsDef;

export const JSON_ARG = {
  json: { type: "boolean", description: "print the API's answer, for programs" },
} as const satisfies ArgsDef;

/** Values as typed; undefined: not given. */
export interface AdminFlags {
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
  readonly "token-file"?: string | undefined;
}

/**
 * @param otherwise what can be done without an admin listener, for errors.
 * @throws ProxyError ERR_USAGE, ERR_CONFIG or ERR_CERTIFICATE
 */
export async function adminClient(flags: AdminFlags, otherwise?: string): Promise<AdminClient> {
  const { admin, config } = flags;
  const configured = config === undefined ? undefined : await configuredPlace(config);
  if (config !== undefined && admin === undefined && configured?.listen === undefined) {
    throw new ProxyError("ERR_USAGE", `${config} has no admin.listen`, {
      cure: withOther("Write it there, or say where it is: -admin ADDRESS", otherwise),
    });
  }
  const listen = admin === undefined ? configured?.listen : typedAddress(admin);
  const tokenFile = flags["token-file"] ?? configured?.tokenFile ?? null;
  return new AdminClient({
    listen: listen ?? parseEndpoint(DEFAULT_ADDRESS, "target"),
    token: tokenFile === null ? null : readToken(tokenFile),
    cure: withOther(START, otherwise),
  });
}

/**
 * Whoever asks for what a listener has, and hears that there is nothing, may have called it otherwise.
 * @throws ProxyError ERR_ADMIN if the proxy has no listener that is called so.
 */
export async function assertListener(client: AdminClient, name: string): Promise<void> {
  const { value } = await client.get(listeners, { path: "/api/listeners" });
  const known = value.map(({ key }) => key);
  if (known.includes(name)) return;
  const cure = known.length === 0 ? "There are none" : suggest(name, known);
  throw new ProxyError("ERR_ADMIN", `there is no listener ${printable(name)}`, {
    cure: printable(cure),
  });
}

const START =
  "Start the proxy with -admin 127.0.0.1:9090 or admin.listen in its file, or say where it is: -admin ADDRESS or -config FILE";

function withOther(cure: string, otherwise: string | undefined): string {
  return otherwise === undefined ? cure : `${cure}. ${otherwise}`;
}

/** @throws ProxyError ERR_USAGE */
function typedAddress(text: string): Endpoint {
  try {
    const endpoint = parseEndpoint(text, "listen");
    if (endpoint.kind === "unix" || endpoint.port > 0) return endpoint;
  } catch (cause) {
    throw new ProxyError("ERR_USAGE", `-admin: ${messageOf(cause)}`, { cause });
  }
  throw new ProxyError("ERR_USAGE", `-admin: "${text}" is no port to ask`);
}

interface ConfiguredPlace {
  readonly listen: Endpoint;
  readonly tokenFile: string | null;
}

/**
 * Of a file that may be wrong elsewhere: how the proxy takes that is what is asked.
 * @throws ProxyError ERR_CONFIG if what is said of admin cannot be read.
 */
async function configuredPlace(file: string): Promise<ConfiguredPlace | undefined> {
  const source = await loadSource(file);
  const written = (source.value as { admin?: unknown } | null)?.admin;
  const { data, success } = schema.shape.admin.safeParse(written);
  if (!success) checkSource(source); // throws, with the place of what is wrong
  if (data === undefined) return undefined;
  const { listen, token_file: tokenFile } = data;
  return { listen, tokenFile: tokenFile === undefined ? null : resolve(tokenFile) };
}

/** @throws ProxyError ERR_USAGE or ERR_CERTIFICATE */
function readToken(path: string): Secret {
  try {
    return checkToken({ path, bytes: readFileSync(path) });
  } catch (cause) {
    if (cause instanceof ProxyError) throw cause;
    throw new ProxyError(
      "ERR_USAGE",
      `the token's file ${path} cannot be read (${errnoOf(cause)})`,
      {
        cause,
        cure: "Check the path, and ask as a user who may read it",
      },
    );
  }
}
