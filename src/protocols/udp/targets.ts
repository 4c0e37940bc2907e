// The targets of a UDP listener in this worker: l4/targets.ts chooses, and says what is to be told of the choice. Called by
// listener.ts; sessions tell their attempt how it goes.

import { type Attempt, type Target, Targets } from "../../l4/targets.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { parseIp } from "../../shared/ip.ts";
import type { OpenRequest } from "../../shared/messages.ts";
import type { UdpPlan } from "../../shared/plan.ts";
import type { GatewayHost } from "../host.ts";
import type { Peer } from "../live-rows.ts";

/** A target's address in the forms that a session needs. */
export interface Destination extends Peer {
  /** Numeric. */
  readonly host: string;
}

export type UdpTarget = Target<Destination>;
export type UdpAttempt = Attempt<Destination>;

export function makeTargets(
  host: GatewayHost,
  request: OpenRequest<UdpPlan>,
): Targets<Destination> {
  const { emit, index: skip } = host;
  const options = { prepare: destinationOf, emit, random: Math.random, skip };
  return new Targets<Destination>(request, options, monotonicMs());
}

/** The configuration admits no unix sockets. */
function destinationOf(address: SocketAddress): Destination {
  const { host, port } = address.kind === "ip" ? address : { host: "", port: 0 };
  return { host, port, ip: parseIp(host) ?? NO_ADDRESS };
}

const NO_ADDRESS = new Uint8Array(0);
