// A proxy in this process with one listener, and the short forms that the contract tests use on it.

import { Proxy, type ProxyOptions } from "../../src/control/proxy.ts";
import type { SocketAddress } from "../../src/shared/address.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import type { EngineChoice } from "../../src/shared/plan.ts";
import { type ListenerOptions, makePlan, type PlanOptions } from "./plan.ts";
import { within } from "./until.ts";
import { Wire, type WireAddress } from "./wire.ts";

export class Relay implements AsyncDisposable {
  readonly proxy: Proxy;

  private constructor(proxy: Proxy) {
    this.proxy = proxy;
  }

  static async start(
    engine: EngineChoice,
    listener: ListenerOptions,
    options: Omit<PlanOptions, "engine"> & ProxyOptions = {},
  ): Promise<Relay> {
    return new Relay(await Proxy.start(makePlan({ engine, ...options }, listener), options));
  }

  get bound(): SocketAddress {
    return this.proxy.listeners()[0]!.bound[0]!;
  }

  get address(): WireAddress {
    return wireAddress(this.bound);
  }

  get stats(): ListenerStats {
    return Object.values(this.proxy.stats().listeners)[0]!;
  }

  /** A client of the relay. */
  connect(): Promise<Wire> {
    return Wire.connect(this.address);
  }

  /** A client of the relay with this address, in 127.0.0.0/8. */
  connectFrom(localAddress: string): Promise<Wire> {
    return Wire.connect({ ...this.address, localAddress } as WireAddress);
  }

  /** How a client that is turned away sees it: the reset may overtake the connection. */
  async refusal(connecting: Promise<Wire> = this.connect()): Promise<string> {
    const ending = connecting.then(
      (wire) => wire.ending,
      (error: NodeJS.ErrnoException) => error.code ?? "?",
    );
    return within("the refusal", ending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.kill();
  }
}

export function wireAddress(address: SocketAddress): WireAddress {
  return address.kind === "unix"
    ? { path: address.path }
    : { host: address.host || "127.0.0.1", port: address.port };
}
