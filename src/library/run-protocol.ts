// A tunnel with a protocol of the user's own: listen, then for each client dial and forward, in this thread. Limits and the idle
// timeout are kept by a ConnManager, whatever the protocol does. Called by tunnel.ts.

import { messageOf, ProxyError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { RelayPlan } from "../shared/plan.ts";
import type { Addr } from "./addr.ts";
import type { ConnInfo } from "./conn-info.ts";
import { ConnManager } from "./conn-manager.ts";
import type { Conn, Listener } from "./conn.ts";
import type { Forwarder } from "./forward.ts";
import type { Protocol } from "./protocol.ts";
import { dialOptions, forwardOptions, listenOptions, managerConfig } from "./tunnel-options.ts";
import type { Run, TunnelStats } from "./tunnel.ts";

export interface Addresses {
  readonly listenAddr: string;
  readonly targetAddr: string;
}

export class ProtocolRun implements Run {
  readonly addr: Addr;
  readonly #protocol: Protocol;
  readonly #target: string;
  readonly #plan: RelayPlan;
  readonly #log: Log;
  readonly #listener: Listener;
  readonly #forwarder: Forwarder;
  readonly #manager: ConnManager;
  /** Ends dialling. */
  readonly #ending = new AbortController();
  /** Ends the waiting for connections. */
  readonly #deadline = new AbortController();
  readonly #startedMs = performance.now();
  #endedMs: number | null = null;
  #errors = 0;
  #unreachable = 0;

  private constructor(
    protocol: Protocol,
    target: string,
    plan: RelayPlan,
    log: Log,
    listener: Listener,
    forwarder: Forwarder,
  ) {
    this.#protocol = protocol;
    this.#target = target;
    this.#plan = plan;
    this.#log = log;
    this.#listener = listener;
    this.#forwarder = forwarder;
    this.#manager = new ConnManager(managerConfig(plan));
    this.addr = listener.addr;
  }

  static async start(
    protocol: Protocol,
    addresses: Addresses,
    plan: RelayPlan,
    log: Log,
  ): Promise<Run> {
    if (plan.socket.fastopen) {
      log.warn({ protocol: protocol.name }, "Fast Open towards targets needs the tcp protocol");
    }
    const forwarder = protocol.forwarder(forwardOptions(plan, log)); // first: nothing is open yet if it throws
    const listener = await protocol.listen(addresses.listenAddr, listenOptions(plan, log));
    const run = new ProtocolRun(protocol, addresses.targetAddr, plan, log, listener, forwarder);
    void run.#accept();
    return run;
  }

  stats(): TunnelStats {
    const { active, total, rejected, timedOut, bytesIn, bytesOut } = this.#manager.stats();
    return {
      connections: total,
      active,
      bytesSent: bytesOut,
      bytesReceived: bytesIn,
      errors: this.#errors + timedOut,
      rejected: rejected + this.#unreachable,
      uptime: (this.#endedMs ?? performance.now()) - this.#startedMs,
    };
  }

  async stop(timeoutMs: number): Promise<{ reset: number }> {
    await this.#listener.close();
    const timer = setTimeout(() => this.hurry(), timeoutMs);
    const result = await this.#manager.shutdown({ signal: this.#deadline.signal });
    clearTimeout(timer);
    this.#ending.abort(new ProxyError("ERR_CLOSED", "the tunnel stopped"));
    this.#endedMs = performance.now();
    return result;
  }

  hurry(): void {
    this.#deadline.abort();
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) void this.#serve(client);
    } catch (error) {
      this.#errors++;
      this.#log.error({ error: messageOf(error) }, "listener failed, nothing more is accepted");
    }
  }

  /** One client from beginning to end. Never rejects. */
  async #serve(client: Conn): Promise<void> {
    const fields = { protocol: this.#protocol.name, client: String(client.remoteAddr) };
    let info: ConnInfo;
    try {
      info = this.#manager.accept(client);
    } catch (error) {
      client.reset();
      this.#log.warn({ ...fields, error: messageOf(error) }, "refused");
      return;
    }
    const target = await this.#reach(client, fields);
    if (target === null) return;
    try {
      const tracked = this.#manager.wrapConn(client, info);
      await this.#forwarder.forward(tracked, target);
      await Promise.all([tracked.close(), target.close()]);
    } catch (error) {
      this.#errors++;
      client.reset();
      target.reset();
      this.#log.debug({ ...fields, error: messageOf(error) }, "connection failed");
    }
  }

  async #reach(client: Conn, fields: object): Promise<Conn | null> {
    try {
      const options = dialOptions(this.#plan, this.#log, this.#ending.signal);
      return await this.#protocol.dial(this.#target, options);
    } catch (error) {
      client.reset();
      if (this.#ending.signal.aborted) return null;
      this.#errors++;
      this.#unreachable++;
      const detail = { ...fields, target: this.#target, error: messageOf(error) };
      this.#log.warn(detail, "target down");
      return null;
    }
  }
}
