// What a configuration means for the service that runs it: its privileges, and what of it would fail there though it works in
// a terminal. Called by commands/service.ts.

import { statSync } from "node:fs";
import { isAbsolute, relative } from "node:path";

import type { Plan } from "../../shared/plan.ts";
import { filesOf, tlsPlaces } from "../certificates/files.ts";
import type { ServiceScope } from "./service.ts";

/** The first port that every user may listen on: ip_unprivileged_port_start of Linux, unless somebody lowered it. */
const FIRST_FREE_PORT = 1_024;

/** Ports of challenges count too: if no listener is there, one is opened for the time of an order. */
export function usesLowPorts({ listeners, autoTls }: Plan): boolean {
  const ports = listeners.flatMap(({ listen }) => (listen.kind === "tcp" ? [listen.port] : []));
  if (autoTls !== null && autoTls.authorities.length > 0) {
    if (autoTls.challenges.includes("http-01")) ports.push(autoTls.httpPort);
    if (autoTls.challenges.includes("tls-alpn-01")) ports.push(autoTls.tlsPort);
  }
  return ports.some((port) => port > 0 && port < FIRST_FREE_PORT);
}

/** Folders that the hardened unit of systemd does not show to the service: ProtectHome= and PrivateTmp=. */
const HIDDEN = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/** @returns the first of them that a system service of systemd cannot see; null: it sees all. */
export function hiddenPath(paths: readonly string[]): string | null {
  return paths.find((path) => HIDDEN.some((folder) => isWithin(folder, path))) ?? null;
}

export interface ServiceFolders {
  readonly scope: ServiceScope;
  readonly name: string;
  /** The service may write here. */
  readonly working: string;
}

/**
 * What would fail, of a system service of systemd: a line each, with the cure.
 * @param isReadable whether a user without privileges may read a file.
 */
export function systemdCautions(
  plan: Plan,
  { scope, name, working }: ServiceFolders,
  isReadable: (path: string) => boolean,
): string[] {
  if (scope === "user") {
    return usesLowPorts(plan)
      ? [
          "Ports below 1024 need privileges that a user's service has not: leave -user out, or choose others",
        ]
      : [];
  }
  const found: string[] = [];
  const storage = plan.autoTls?.storage;
  if (storage !== undefined && !isWithin(working, storage)) {
    found.push(
      `auto_tls.storage: ${storage}: the service may write to ${working} only. Leave it out, or choose a folder there`,
    );
  }
  for (const { key, listen } of plan.listeners) {
    if (listen.kind === "unix" && !isWithin(`/run/${name}`, listen.path)) {
      found.push(`${key}: the service may make sockets in /run/${name} only`);
    }
  }
  const files = plan.listeners.flatMap((listener) => {
    const places = tlsPlaces(listener);
    return places === null ? [] : filesOf(places);
  });
  const closed = [...new Set(files)].filter((path) => !isReadable(path));
  if (closed.length > 0) {
    const words = closed.join(" ");
    const user = "useradd --system --user-group bun-tunnel";
    found.push(
      `The user of the service, bun-tunnel, may not read ${closed.join(", ")}. Make the user a lasting one, with a group ` +
        `that may: ${user}; chgrp bun-tunnel ${words}; chmod 640 ${words}`,
    );
  }
  return found;
}

/** By the file's mode alone, for everybody or a group other than root's; a folder above may still be closed. */
export function isReadableByService(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return true; // told elsewhere
  return (found.mode & 0o004) !== 0 || ((found.mode & 0o040) !== 0 && found.gid !== 0);
}

function isWithin(folder: string, path: string): boolean {
  const rest = relative(folder, path);
  return rest === "" || (!rest.startsWith("..") && !isAbsolute(rest));
}
