// The backends of one listener in one worker: a pool for each address of each target, and which of them a request goes to
// (l4/targets.ts). Invariant: a pool that no target has any more takes no idle connection back, and is forgotten when its last
// one is gone. Called by listener.ts; its exchanges choose here.

import { RetryBudget } from "../../../l4/retry-budget.ts";
import { type Attempt, Targets } from "../../../l4/targets.ts";
import type { SocketAddress } from "../../../shared/address.ts";
import type { ListenerCertificates } from "../../../shared/certificates.ts";
import { monotonicMs } from "../../../shared/clock.ts";
import type { CounterWriter } from "../../../shared/counters.ts";
import { ProxyError } from "../../../shared/errors.ts";
import type { HttpPlan, HttpTargetPlan } from "../../../shared/http-plan.ts";
import type { OpenRequest, TargetSlot } from "../../../shared/messages.ts";
import type { GatewayHost } from "../../host.ts";
import type { QuicDriver } from "../../quic/transport.ts";
import { TargetsTls } from "../../targets-tls.ts";
import type { SetSocketOptions } from "../../wire/open.ts";
import type { ClientTls } from "../../wire/tls-context.ts";
import type { Codecs } from "../codecs.ts";
import type { Choice } from "../tries.ts";
import { connector, overWire, within } from "./connector.ts";
import { type ConnectBackend, Pool } from "./pool.ts";

export interface BackendsOptions {
  readonly counters: CounterWriter;
  readonly codecs: Codecs;
  /** For HTTP/3. @throws ProxyError where there is none. */
  readonly quicDriver: () => QuicDriver;
  readonly setOptions: SetSocketOptions;
  /** The time, as exact as rests between requests need it. */
  coarseMs(): number;
}

export class Backends implements Choice {
  readonly #host: GatewayHost;
  readonly #plan: HttpPlan;
  readonly #options: BackendsOptions;
  readonly #tls: TargetsTls;
  readonly #targets: Targets<Pool>;
  readonly #pools = new Set<Pool>();
  /** By group: of the route that leads there. */
  readonly #budgets: readonly (RetryBudget | null)[];

  constructor(host: GatewayHost, request: OpenRequest<HttpPlan>, options: BackendsOptions) {
    this.#host = host;
    this.#plan = request.listener;
    this.#options = options;
    this.#tls = new TargetsTls(request.listener.groups, request.certificates);
    const { emit, index: skip } = host;
    const prepare = (address: SocketAddress, slot: TargetSlot): Pool => this.#make(address, slot);
    const chance = { prepare, emit, random: Math.random, skip };
    this.#targets = new Targets(request, chance, monotonicMs());
    this.#budgets = this.#plan.groups.map((_, group) => budgetOf(this.#plan, group));
  }

  begin(group: number): Attempt<Pool> {
    return this.#targets.begin(group);
  }

  leave(slot: number): void {
    this.#targets.leave(slot);
  }

  budget(group: number): RetryBudget | null {
    return this.#budgets[group] ?? null;
  }

  setTargets(slots: readonly TargetSlot[]): void {
    this.#targets.update(slots, monotonicMs());
    for (const pool of this.#pools) {
      const { slot, name } = pool.options;
      const target = slots.find((each) => each.slot === slot && each.name === name);
      if (target === undefined) pool.retire();
      else pool.setMode(target.mode);
    }
  }

  /** For connections that are made later. */
  setCertificates(certificates: ListenerCertificates): void {
    this.#tls.update(certificates);
  }

  #make(address: SocketAddress, { group, index, slot, name }: TargetSlot): Pool {
    const target: HttpTargetPlan = this.#plan.groups[group]!.targets[index]!;
    const { counters, coarseMs } = this.#options;
    const { connectMs, backendKeepaliveMs } = this.#plan.timeouts;
    const tls = this.#tls.of(group, index);
    // What must be encrypted is never spoken in clear for lack of certificates.
    if (target.tls !== null && tls === null) {
      throw new ProxyError("ERR_STATE", `${name} has no certificates`);
    }
    const multiplexed = target.scheme !== "http" && target.scheme !== "https";
    const pool = new Pool({
      name,
      slot,
      scheme: tls !== null ? "https" : "http",
      authority: target.authority,
      multiplexed,
      connectMs,
      keepaliveMs: backendKeepaliveMs,
      counters,
      connect:
        target.scheme === "h3"
          ? this.#overQuic(address, tls!)
          : this.#overWire(address, tls, multiplexed),
      clock: coarseMs,
    });
    this.#pools.add(pool);
    return pool;
  }

  #overQuic(address: SocketAddress, tls: ClientTls): ConnectBackend {
    const { codecs, quicDriver } = this.#options;
    return codecs.connectHttp3(quicDriver(), this.#plan, address, tls);
  }

  #overWire(address: SocketAddress, tls: ClientTls | null, multiplexed: boolean): ConnectBackend {
    const { codecs, setOptions } = this.#options;
    const { limits } = this.#plan;
    return overWire(
      within(
        (fd) => this.#host.hasRoom(fd),
        connector(this.#plan, address, tls, multiplexed, setOptions),
      ),
      (wire, events) => codecs.client(multiplexed, { wire, events, limits }),
    );
  }

  /** @returns whether anything can still time out. */
  sweep(now: number): boolean {
    let pending = false;
    for (const pool of this.#pools) {
      if (pool.sweep(now)) pending = true;
      if (pool.over) this.#pools.delete(pool);
    }
    return pending;
  }

  /** The last client is gone. */
  close(): void {
    for (const pool of this.#pools) pool.retire();
  }

  /** At once. */
  destroy(): void {
    for (const pool of this.#pools) pool.destroy();
    this.#pools.clear();
  }
}

/** Alternatives of one route share its group, and say the same of retries. */
function budgetOf({ routes }: HttpPlan, group: number): RetryBudget | null {
  const { retries } = routes.find((route) => route.group === group) ?? {};
  if (retries === undefined || retries.attempts === 0 || retries.budget === null) return null;
  return new RetryBudget(retries.budget);
}
