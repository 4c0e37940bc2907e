// One request to an admin listener and its answer, within bounds of time and length. By node:http, which goes straight to the
// address: fetch would send the token to whatever proxy the environment names, or where a redirect points. Called by client.ts.

import { type IncomingMessage, request } from "node:http";

import type { Endpoint } from "../../shared/address.ts";
import { ADMIN_CLIENT } from "../../shared/admin-limits.ts";
import { ProxyError } from "../../shared/errors.ts";

export interface Asked {
  readonly method: "GET" | "POST" | "DELETE";
  /** With its query. */
  readonly path: string;
  /** The Authorization field; null: none. */
  readonly authorization: string | null;
  readonly accept: string;
  /** JSON; null: none. */
  readonly body: string | null;
}

/** Resolves with the head of the answer; rejects with the system's error, or with what is wrong with the answer. */
export function send(to: Endpoint, asked: Asked, signal: AbortSignal): Promise<IncomingMessage> {
  const { method, path, authorization, accept, body } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const place = to.kind === "unix" ? { socketPath: to.path } : reachable(to);
  const headers: Record<string, string> = { accept };
  if (authorization !== null) headers["authorization"] = authorization;
  if (body !== null) headers["content-type"] = "application/json";
  const outgoing = request({ ...place, method, path, headers, agent: false, signal });
  outgoing.once("response", resolve);
  outgoing.on("error", reject);
  outgoing.end(body ?? undefined);
  return promise;
}

/** Who listens on every address is asked on this machine's own. */
function reachable({ host, port }: Endpoint & { kind: "tcp" }): { host: string; port: number } {
  if (host === "" || host === "0.0.0.0") return { host: "127.0.0.1", port };
  return { host: host === "::" ? "::1" : host, port };
}

/** @throws ProxyError ERR_ADMIN for one that is too long. */
export async function textOf(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > ADMIN_CLIENT.answerMaxBytes) {
      throw new ProxyError("ERR_ADMIN", "the answer has no end");
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
