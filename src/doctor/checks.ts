// Every check of `proxy doctor`, in the order in which people would look. Without a plan what concerns the machine alone. Called
// by the command.

import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { takeInventory } from "../control/acme/inventory.ts";
import { CertificateStorage } from "../control/acme/storage.ts";
import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import { errnoOf, messageOf } from "../shared/errors.ts";
import type { Plan } from "../shared/plan.ts";
import { checkFiles, checkStorage, readFiles, type Storage } from "./certificates.ts";
import type { Finding } from "./finding.ts";
import {
  checkClock,
  checkDescriptors,
  checkEngine,
  checkIPv6,
  checkKernel,
  checkMemory,
  checkService,
} from "./kernel.ts";
import type { Machine } from "./machine.ts";
import { checkPorts, checkPrivileges, openingsOf } from "./ports.ts";
import { checkTargets, lookAt, placesOf } from "./targets.ts";

/** For a name, and for a connection: a target that takes longer is no good target. */
const TARGET_MS = 3_000;

export async function examine(plan: Plan | null, machine: Machine): Promise<Finding[]> {
  const listeners = plan?.listeners ?? [];
  const openings = plan === null ? [] : openingsOf(plan);
  const { nowMs } = machine.clock;
  const sights = await Promise.all(placesOf(listeners).map((place) => lookAt(place, TARGET_MS)));
  const autoTls = plan?.autoTls ?? null;
  return [
    ...checkPorts(openings, machine),
    ...checkPrivileges(openings, machine),
    ...checkTargets(sights, machine.hasIPv6),
    ...checkFiles(readFiles(listeners, nowMs), nowMs),
    ...(autoTls === null ? [] : checkStorage(await readStorage(autoTls), nowMs)),
    ...checkClock(machine),
    ...checkEngine(machine),
    ...checkDescriptors(listeners, machine, plan?.overload.descriptorsShare),
    ...checkKernel(listeners, machine),
    ...checkMemory(plan, machine),
    ...checkIPv6(listeners, machine),
    ...checkService(machine),
  ];
}

/** What is in the folder of automatic certificates, without making it. */
export async function readStorage({
  storage: folder,
  certificates,
}: AutoTlsPlan): Promise<Storage> {
  const empty = { folder, entries: [], wanted: certificates };
  try {
    const { mode } = await stat(folder);
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    const entries = await takeInventory(new CertificateStorage(folder));
    return { ...empty, mode, fault: null, entries };
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") return { ...empty, mode: null, fault: messageOf(error) };
  }
  return { ...empty, mode: null, fault: await cannotBeMade(folder) };
}

/** The nearest folder that is there must let it be made. */
async function cannotBeMade(folder: string): Promise<string | null> {
  const parent = dirname(folder);
  try {
    await access(parent, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && parent !== folder) return cannotBeMade(parent);
    return `it cannot be made: ${messageOf(error)}`;
  }
}
