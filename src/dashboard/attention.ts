// What somebody should see to, of a snapshot: each as one sentence, the worst first. Pure. Called by summary.tsx.

import type { Snapshot } from "../control/admin/schemas.ts";
import { several } from "./format.ts";

export interface Matter {
  /** bad: somebody is not served. warn: somebody might soon not be. */
  readonly level: "bad" | "warn";
  readonly text: string;
}

const DAY_MS = 86_400_000;
/** Of certificates in files, which nobody renews: two weeks are time to. */
export const FILE_DAYS = 14;
/** Timers that are so late are felt by clients. */
const LAG_MS = 100;
const DESCRIPTORS_SHARE = 0.9;

export function mattersOf(snapshot: Snapshot): Matter[] {
  const all = [
    ...ofStatus(snapshot),
    ...ofTargets(snapshot),
    ...ofCertificates(snapshot),
    ...ofMachinery(snapshot),
  ];
  return all.toSorted((a, b) => Number(b.level === "bad") - Number(a.level === "bad"));
}

const bad = (text: string): Matter => ({ level: "bad", text });
const warn = (text: string): Matter => ({ level: "warn", text });

function ofStatus({ status }: Snapshot): Matter[] {
  const { phase, reasons, warnings } = status;
  const said = phase === "serving" ? reasons.map(bad) : [warn(`it is ${phase}`)];
  return [...said, ...warnings.map(warn)];
}

function ofTargets({ targets }: Snapshot): Matter[] {
  return targets.flatMap(({ name, listener, health, state }): Matter[] => {
    if (state !== "enabled") return []; // a warning of the status
    if (health === "down") return [bad(`${name} of ${listener} is down`)];
    if (health === "ejected")
      return [warn(`${name} of ${listener} is ejected: it failed too often`)];
    return [];
  });
}

function ofCertificates({ certificates, timeMs }: Snapshot): Matter[] {
  return certificates.files.flatMap(({ names, notAfterMs }): Matter[] => {
    const days = Math.floor((notAfterMs - timeMs) / DAY_MS);
    if (days >= FILE_DAYS) return [];
    const subject = `the certificate of ${names.join(", ")}`;
    return [
      days < 0 ? bad(`${subject} has expired`) : warn(`${subject} ends in ${several(days, "day")}`),
    ];
  });
}

function ofMachinery({ process }: Snapshot): Matter[] {
  const { lagMs, descriptors } = process;
  const { open, max } = descriptors;
  const matters: Matter[] = []; // of overload the status tells
  if (lagMs >= LAG_MS) matters.push(warn(`its threads run ${Math.round(lagMs)} ms late`));
  if (open !== null && max !== null && open > max * DESCRIPTORS_SHARE) {
    matters.push(warn(`${open} of ${max} descriptors are open`));
  }
  return matters;
}
