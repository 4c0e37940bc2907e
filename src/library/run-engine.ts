// A tunnel on the relay engine: a proxy with one listener. Called by tunnel.ts.

import { Proxy } from "../control/proxy.ts";
import type { ListenerStats } from "../shared/counters.ts";
import { ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { Plan } from "../shared/plan.ts";
import { Addr } from "./addr.ts";
import type { Run, TunnelStats } from "./tunnel.ts";

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

export class EngineRun implements Run {
  readonly addr: Addr;
  readonly #proxy: Proxy;
  readonly #startedMs = performance.now();
  #final: TunnelStats | null = null;

  private constructor(proxy: Proxy) {
    this.#proxy = proxy;
    const bound = proxy.listeners()[0]?.bound[0];
    if (bound === undefined) throw new ProxyError("ERR_LISTEN", "nothing was bound");
    this.addr = new Addr(bound);
  }

  static async start(plan: Plan, log: Log): Promise<Run> {
    return new EngineRun(await Proxy.start(plan, { log }));
  }

  stats(): TunnelStats {
    return this.#final ?? this.#read();
  }

  async stop(timeoutMs: number): Promise<{ reset: number }> {
    const result = await this.#proxy.stop(timeoutMs);
    this.#final = this.#read();
    return result;
  }

  hurry(): void {
    void this.#proxy.kill();
  }

  #read(): TunnelStats {
    const listeners = Object.values(this.#proxy.stats().listeners);
    const add = (value: (stats: ListenerStats) => number): number =>
      listeners.reduce((total, stats) => total + value(stats), 0);
    return {
      connections: add((stats) => stats.total),
      active: add((stats) => stats.active),
      bytesSent: add((stats) => stats.bytesDown),
      bytesReceived: add((stats) => stats.bytesUp),
      errors: add((stats) => sum(stats.errors)),
      rejected: add((stats) => sum(stats.refused)),
      uptime: performance.now() - this.#startedMs,
    };
  }
}
