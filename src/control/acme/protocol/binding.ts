// External account bindings (RFC 8555 section 7.3.4): given in the plan, or asked of ZeroSSL, which makes one for whoever names
// an e-mail address. Called when an account is made.

import { readFileSync } from "node:fs";

import type { AuthorityPlan } from "../../../shared/auto-tls-plan.ts";
import { messageOf } from "../../../shared/errors.ts";
import { Secret } from "../../../shared/secret.ts";
import { IssueError } from "../issue-error.ts";
import { jsonOf } from "./directory.ts";
import { printable } from "./problem.ts";
import type { AccountBinding } from "./session.ts";
import { Transport } from "./transport.ts";

/** https://zerossl.com/documentation/acme/generate-eab-credentials/ */
export const ZEROSSL_API = "https://api.zerossl.com";

/** Which binding the plan wants, to be compared with an account's; null: none, or whichever there is. */
export function wantedKeyId({ eab }: AuthorityPlan): string | null {
  return eab === null || eab === "zerossl" ? null : eab.keyId;
}

/**
 * @param zeroSslApi base URL of ZeroSSL's API.
 * @returns null: the plan wants none. @throws IssueError
 */
export async function makeBinding(
  plan: AuthorityPlan,
  zeroSslApi: string,
  signal: AbortSignal,
): Promise<AccountBinding | null> {
  if (plan.eab === null) return null;
  if (plan.eab === "zerossl") return askZeroSsl(plan, zeroSslApi, signal);
  const { keyId, hmacKey } = plan.eab;
  return { kid: keyId, hmacKey: hmacKey instanceof Secret ? hmacKey : readKey(hmacKey.file) };
}

function readKey(path: string): Secret {
  try {
    return Secret.of(Buffer.from(readFileSync(path, "utf8").trim()));
  } catch (cause) {
    const problem = `${path}: the key of the external account binding cannot be read: ${messageOf(cause)}`;
    throw new IssueError(problem, { isFinal: true }, { cause, cure: "Check the path" });
  }
}

async function askZeroSsl(
  plan: AuthorityPlan,
  api: string,
  signal: AbortSignal,
): Promise<AccountBinding> {
  const { name, email } = plan;
  if (email === null) {
    const problem = `${name} makes accounts for e-mail addresses only, and none is configured`;
    throw new IssueError(problem, { isFinal: true }, { cure: "Name one (auto_tls: email)" });
  }
  // The API's own certificate is of a public root, whatever the directory's is of.
  const transport = new Transport({ ...plan, directory: api, rootFile: null });
  const answer = await transport.ask(
    `${api}/acme/eab-credentials-email`,
    {
      method: "POST",
      type: "application/x-www-form-urlencoded",
      body: `email=${encodeURIComponent(email)}`,
    },
    signal,
  );
  const fields = jsonOf(answer.body) as Record<string, unknown> | null;
  const { eab_kid: kid, eab_hmac_key: hmacKey } = fields ?? {};
  if (typeof kid === "string" && typeof hmacKey === "string") {
    return { kid, hmacKey: Secret.of(Buffer.from(hmacKey)) };
  }
  const error = fields?.error as Record<string, unknown> | undefined;
  const said = printable(String(error?.type ?? error?.info ?? `status ${answer.status}`));
  throw new IssueError(
    `${name} gives ${email} no external account binding: ${said}`,
    { notBeforeMs: answer.retryAtMs },
    { cure: "Check the address (auto_tls: email)" },
  );
}
