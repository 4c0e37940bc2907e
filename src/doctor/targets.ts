// Targets: whether their names resolve, in which families, and whether somebody accepts connections there. Asking and judging are
// apart: what was found is plain data. Called by checks.ts.

import { probe } from "../control/probe.ts";
import { isName, type Lookup, resolveOnce, systemLookup } from "../control/resolver.ts";
import { type Endpoint, formatEndpoint, formatSocketAddress } from "../shared/address.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { faultOf, type Finding, Findings } from "./finding.ts";

/** A target, once, however many routes lead to it. */
export interface Place {
  readonly endpoint: Endpoint;
  /** Over UDP nobody can be asked without speaking the target's own protocol. */
  readonly overUdp: boolean;
  /** Keys of its listeners. */
  readonly listeners: readonly string[];
}

export interface Sight {
  readonly place: Place;
  /** Of its name, in numbers; null: it does not resolve, for `fault`. */
  readonly addresses: readonly string[] | null;
  readonly fault: string | null;
  /** By address with port: what is wrong; null: connections are accepted. Empty over UDP. */
  readonly reached: readonly (readonly [address: string, fault: string | null])[];
}

export function placesOf(listeners: readonly ListenerPlan[]): Place[] {
  const places = new Map<string, Place>();
  for (const plan of listeners) {
    for (const { endpoint, overUdp } of targetsOf(plan)) {
      const name = `${formatEndpoint(endpoint)} ${overUdp}`;
      const before = places.get(name)?.listeners ?? [];
      places.set(name, { endpoint, overUdp, listeners: [...new Set([...before, plan.key])] });
    }
  }
  return [...places.values()];
}

function targetsOf(plan: ListenerPlan): { endpoint: Endpoint; overUdp: boolean }[] {
  const targets: readonly { endpoint: Endpoint; scheme?: string; quic?: unknown }[] =
    plan.groups.flatMap((group): readonly { endpoint: Endpoint }[] => group.targets);
  const found = targets.map(({ endpoint, scheme, quic }) => {
    const overUdp = plan.protocol === "udp" || scheme === "h3" || (quic ?? null) !== null;
    return { endpoint, overUdp };
  });
  const mirror = plan.protocol === "tcp" ? plan.mirror : null;
  return mirror === null ? found : [...found, { endpoint: mirror, overUdp: false }];
}

/** @param timeoutMs for each connection, and for each name. */
export async function lookAt(
  place: Place,
  timeoutMs: number,
  lookup: Lookup = systemLookup,
): Promise<Sight> {
  const { endpoint, overUdp } = place;
  const health = {
    type: "tcp",
    path: "",
    statuses: [],
    intervalMs: 0,
    timeoutMs,
    rise: 1,
    fall: 1,
  } as const;
  try {
    const found = await within(resolveOnce(endpoint, lookup), timeoutMs);
    const addresses = found.map((each) => (each.kind === "ip" ? each.host : each.path));
    const asked = overUdp ? [] : found;
    const reached = await Promise.all(
      asked.map(async (address): Promise<[string, string | null]> => {
        const fault = await probe(address, health, AbortSignal.timeout(timeoutMs));
        return [formatSocketAddress(address), fault];
      }),
    );
    return { place, addresses, fault: null, reached };
  } catch (error) {
    return { place, addresses: null, fault: faultOf(error).fault, reached: [] };
  }
}

/** Rejects when the system's resolver takes longer, which cannot be stopped. */
async function within<T>(result: Promise<T>, timeoutMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject("no answer in time"), timeoutMs);
  try {
    return await Promise.race([result, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the families of a name's addresses come to. */
export function checkTargets(sights: readonly Sight[], hasIPv6: boolean): Finding[] {
  const found = new Findings("targets");
  for (const sight of sights) judge(found, sight, hasIPv6);
  return found.all;
}

function judge(found: Findings, sight: Sight, hasIPv6: boolean): void {
  const { place, addresses, fault, reached } = sight;
  const target = formatEndpoint(place.endpoint);
  const whose = place.listeners.join(", ");
  if (addresses === null) {
    found.problem(
      `${target} of ${whose}: ${fault}`,
      "Check the name, and the system's resolver: getent ahosts NAME",
    );
    return;
  }
  const about = isName(place.endpoint) ? `${target} (${addresses.join(", ")})` : target;
  const onlyV6 = addresses.length > 0 && addresses.every((address) => address.includes(":"));
  if (isName(place.endpoint) && onlyV6 && !hasIPv6) {
    found.problem(
      `${about} of ${whose}: the name has no IPv4 address, and this machine no IPv6`,
      "Give the name an IPv4 address, or the machine IPv6",
    );
    return;
  }
  const faults = reached.filter(([, wrong]) => wrong !== null);
  if (place.overUdp) return found.ok(`${about}: over UDP, nobody is asked`);
  if (faults.length === 0) return found.ok(`${about}: accepts connections`);
  const shown = faults.map(([address, wrong]) => `${address}: ${reasonOf(wrong!)}`).join("; ");
  const cure = "See that it runs, and that no firewall is in between";
  if (faults.length < reached.length) {
    found.warning(`${about} of ${whose}: some of its addresses do not answer: ${shown}`, cure);
  } else found.problem(`${about} of ${whose} cannot be reached: ${shown}`, cure);
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there (ECONNREFUSED)",
  EHOSTUNREACH: "no way leads there (EHOSTUNREACH)",
  ENETUNREACH: "no way leads there (ENETUNREACH)",
  ENOENT: "there is no such socket (ENOENT)",
  EACCES: "permission denied (EACCES)",
};

const reasonOf = (fault: string): string => REASONS[fault] ?? fault;
