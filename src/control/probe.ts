// One probe of one target: whether it accepts a connection, or answers a request as expected. Never rejects; the socket is
// gone when it settles.

import { request as requestInClear } from "node:http";
import { request as requestOverTls } from "node:https";
import { connect } from "node:net";

import { formatSocketAddress, type SocketAddress } from "../shared/address.ts";
import type { HealthPlan } from "../shared/plan.ts";

/** null: it is well; otherwise what is wrong. */
export type ProbeResult = string | null;

/** How requests are sent to a target. */
export interface Towards {
  /** Host; null: its address. */
  readonly authority: string | null;
  /** null: in clear. */
  readonly tls: ProbeTls | null;
}

/** As node:tls takes it. */
export interface ProbeTls {
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Buffer;
}

export const IN_CLEAR: Towards = { authority: null, tls: null };

export function probe(
  address: SocketAddress,
  plan: HealthPlan,
  signal: AbortSignal,
  towards: Towards = IN_CLEAR,
): Promise<ProbeResult> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(plan.timeoutMs)]);
  return plan.type === "tcp"
    ? probeTcp(address, limited)
    : probeHttp(address, plan, limited, towards);
}

function placeOf(address: SocketAddress): { path: string } | { host: string; port: number } {
  return address.kind === "unix"
    ? { path: address.path }
    : { host: address.host, port: address.port };
}

function probeTcp(address: SocketAddress, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect(placeOf(address));
    const settle = (result: ProbeResult): void => {
      signal.removeEventListener("abort", late);
      socket.destroy();
      resolve(result);
    };
    const late = (): void => settle("no answer in time");
    socket.once("connect", () => settle(null));
    socket.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    signal.addEventListener("abort", late);
    if (signal.aborted) late();
  });
}

function probeHttp(
  address: SocketAddress,
  { path, statuses }: HealthPlan,
  signal: AbortSignal,
  { authority, tls }: Towards,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const place =
      address.kind === "unix"
        ? { socketPath: address.path }
        : { host: address.host, port: address.port };
    const headers = {
      host: authority ?? (address.kind === "unix" ? "localhost" : formatSocketAddress(address)),
      "user-agent": "bun-tunnel health check",
    };
    const options = { ...place, path, headers, agent: false, method: "GET" } as const;
    const asked = tls === null ? requestInClear(options) : requestOverTls({ ...options, ...tls });
    const settle = (result: ProbeResult): void => {
      signal.removeEventListener("abort", late);
      asked.destroy();
      resolve(result);
    };
    const late = (): void => settle("no answer in time");
    asked.once("response", ({ statusCode = 0 }) => {
      settle(statuses.includes(statusCode) ? null : `status ${statusCode}`);
    });
    asked.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    signal.addEventListener("abort", late);
    if (signal.aborted) late();
    asked.end();
  });
}
