// curl against the gateway, in every way that it speaks HTTP/1.1 and HTTP/2.

import { type Output, run } from "./daemon.ts";
import type { Gateway } from "./gateway.ts";
import { program } from "./programs.ts";

export interface Way {
  readonly name: string;
  readonly scheme: "http" | "https";
  readonly flags: readonly string[];
  /** As curl tells it. */
  readonly version: "1.1" | "2";
  /** Not by prior knowledge: curl 7.88 fails on the second request of such a connection, whoever serves it. */
  readonly keepsAlive: boolean;
}

export const WAYS: readonly Way[] = [
  {
    name: "HTTP/1.1 in clear",
    scheme: "http",
    flags: ["--http1.1"],
    version: "1.1",
    keepsAlive: true,
  },
  {
    name: "HTTP/1.1 over TLS",
    scheme: "https",
    flags: ["--http1.1"],
    version: "1.1",
    keepsAlive: true,
  },
  { name: "HTTP/2 over TLS", scheme: "https", flags: ["--http2"], version: "2", keepsAlive: true },
  {
    name: "HTTP/2 in clear",
    scheme: "http",
    flags: ["--http2-prior-knowledge"],
    version: "2",
    keepsAlive: false,
  },
];

export function urlOf(way: Way, gateway: Gateway, path: string): string {
  return `${way.scheme}://localhost:${way.scheme === "http" ? gateway.port : gateway.tlsPort}${path}`;
}

export function curlCommand(
  way: Way,
  gateway: Gateway,
  paths: string | readonly string[],
  ...flags: readonly string[]
): string[] {
  const urls = [paths].flat().map((path) => urlOf(way, gateway, path));
  const resolve = ["--resolve", `localhost:${gateway.port}:127.0.0.1`];
  const secure = [
    "--resolve",
    `localhost:${gateway.tlsPort}:127.0.0.1`,
    "--cacert",
    gateway.certFile,
  ];
  const common = ["-sS", "--fail-with-body", "--noproxy", "*", ...resolve, ...secure];
  return [program("curl"), ...common, ...way.flags, ...flags, ...urls];
}

/**
 * @param paths asked for in turn, on one connection if the way keeps it alive.
 * @throws Error if curl fails, or an answer says so.
 */
export async function curl(
  way: Way,
  gateway: Gateway,
  paths: string | readonly string[],
  ...flags: readonly string[]
): Promise<Output> {
  const asked = [paths].flat();
  const groups = way.keepsAlive ? [asked] : asked.map((path) => [path]);
  const whole = { code: 0, stdout: "", stderr: "" };
  for (const group of groups) {
    const command = curlCommand(way, gateway, group, ...flags);
    const { stdout, stderr } = await run(command, { timeoutMs: 120_000 });
    whole.stdout += stdout;
    whole.stderr += stderr;
  }
  return whole;
}

/** What `%{num_connects}` says of a request after the first. */
export function connectsAgain({ keepsAlive }: Way): number {
  return keepsAlive ? 0 : 1;
}
