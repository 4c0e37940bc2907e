// One probe of one target: whether it accepts a connection, or answers a request as expected. Never rejects; the socket is
// gone when it settles.

import { request } from "node:http";
import { connect } from "node:net";

import { formatSocketAddress, type SocketAddress } from "../shared/address.ts";
import type { HealthPlan } from "../shared/plan.ts";

/** null: it is well; otherwise what is wrong. */
export type ProbeResult = string | null;

export function probe(
  address: SocketAddress,
  plan: HealthPlan,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(plan.timeoutMs)]);
  return plan.type === "tcp" ? probeTcp(address, limited) : probeHttp(address, plan, limited);
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
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const place =
      address.kind === "unix"
        ? { socketPath: address.path }
        : { host: address.host, port: address.port };
    const headers = {
      host: address.kind === "unix" ? "localhost" : formatSocketAddress(address),
      "user-agent": "bun-tunnel health check",
    };
    const asked = request({ ...place, path, headers, agent: false, method: "GET" });
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
