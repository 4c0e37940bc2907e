// A tunnel: one listener whose connections all go to one target. With `tcp()` it runs on the relay engine's threads, with a
// protocol of the user's own in the caller's thread. Invariant: between `start` and the end of `stop` there is one run.

import { ProxyError } from "../shared/errors.ts";
import { silentLog } from "../shared/log.ts";
import type { Addr } from "./addr.ts";
import { isBuiltIn, type Protocol, tcp } from "./protocol.ts";
import { EngineRun } from "./run-engine.ts";
import { ProtocolRun } from "./run-protocol.ts";
import type { TunnelConfig } from "./tunnel-config.ts";
import { compileTunnel, type TunnelPlan } from "./tunnel-plan.ts";

/** Figures since `start`. They stay readable after `stop`. */
export interface TunnelStats {
  /** Connections accepted. */
  readonly connections: number;
  /** Of those, open now. */
  readonly active: number;
  /** Bytes that were delivered to clients. */
  readonly bytesSent: number;
  /** Bytes that were taken from clients and delivered to the target. */
  readonly bytesReceived: number;
  /** Failures of connections, on either side: refused, reset, timed out. */
  readonly errors: number;
  /** Clients that were turned away, by a limit or because the target could not be reached. */
  readonly rejected: number;
  /** Milliseconds from `start` to now, or to the end of `stop`. */
  readonly uptime: number;
}

/** What a started tunnel consists of. */
export interface Run {
  readonly addr: Addr;
  stats(): TunnelStats;
  stop(timeoutMs: number): Promise<{ reset: number }>;
  /** Makes a `stop` under way reset what is left now. */
  hurry(): void;
}

type State =
  | { readonly name: "idle" }
  | { readonly name: "starting"; readonly run: Promise<Run> }
  | { readonly name: "running"; readonly run: Run }
  | { readonly name: "stopping"; readonly run: Run; readonly done: Promise<{ reset: number }> }
  | { readonly name: "stopped"; readonly addr: Addr; readonly stats: TunnelStats };

const NO_STATS: TunnelStats = {
  connections: 0,
  active: 0,
  bytesSent: 0,
  bytesReceived: 0,
  errors: 0,
  rejected: 0,
  uptime: 0,
};

/**
 * Listens on one address and relays every connection to one target.
 *
 *     const tunnel = new Tunnel({ ...serverPreset(), listenAddr: ":8080", targetAddr: "127.0.0.1:80" });
 *     await tunnel.start();
 *     …
 *     await tunnel.stop();
 */
export class Tunnel implements AsyncDisposable {
  readonly #config: TunnelConfig;
  readonly #plan: TunnelPlan;
  #protocol: Protocol = tcp();
  #state: State = { name: "idle" };
  /** So that the signal of a run that is over does not stop the next one. */
  #forgetSignal: () => void = () => {};

  /**
   * @throws ProxyError `ERR_USAGE` for an unknown field or a value out of bounds, `ERR_ADDRESS` for an address that cannot be
   *   parsed, `ERR_NOT_AVAILABLE` for what this version cannot do.
   */
  constructor(config: TunnelConfig) {
    this.#config = { ...config };
    this.#plan = compileTunnel(config);
  }

  /**
   * Chooses what the tunnel speaks, before it starts. Without it: `tcp()`.
   * @throws ProxyError `ERR_STATE` once started, `ERR_USAGE` if the configuration names another protocol.
   */
  setProtocol(protocol: Protocol): this {
    if (this.#state.name !== "idle" && this.#state.name !== "stopped") {
      throw new ProxyError("ERR_STATE", "the tunnel has started", { cure: "Stop it first" });
    }
    if (this.#plan.namesProtocol && !isBuiltIn(protocol)) {
      const said = `the configuration says protocol "${this.#config.protocol}"`;
      throw new ProxyError("ERR_USAGE", said, { cure: "Leave protocol out of it" });
    }
    this.#protocol = protocol;
    return this;
  }

  /**
   * Opens the listener. A stopped tunnel may start again, with new statistics.
   * @param options.signal stops the tunnel when aborted, as `stop()` does.
   * @throws ProxyError `ERR_LISTEN` if the address cannot be bound, `ERR_RESOLVE` for a name to listen on, `ERR_ENGINE` if
   *   the engine cannot run here, `ERR_STATE` if it has started; the signal's reason if it was aborted before.
   */
  async start(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#state.name !== "idle" && this.#state.name !== "stopped") {
      throw new ProxyError("ERR_STATE", "the tunnel has started");
    }
    const before = this.#state;
    const starting = this.#run();
    this.#state = { name: "starting", run: starting };
    let run: Run;
    try {
      run = await starting;
    } catch (error) {
      this.#state = before;
      throw error;
    }
    this.#state = { name: "running", run };
    if (signal?.aborted === true) {
      await this.stop();
      throw signal.reason;
    }
    if (signal === undefined) return;
    const abort = (): void => void this.stop();
    signal.addEventListener("abort", abort, { once: true });
    this.#forgetSignal = () => signal.removeEventListener("abort", abort);
  }

  #run(): Promise<Run> {
    const { plan, listener } = this.#plan;
    const log = this.#config.log ?? silentLog;
    if (isBuiltIn(this.#protocol)) return EngineRun.start(plan, log);
    return ProtocolRun.start(this.#protocol, this.#config, listener, log);
  }

  /**
   * Stops listening, lets connections finish, and resets those that take longer. Does nothing if the tunnel does not run.
   * @param timeoutMs default: `shutdownTimeout` of the configuration.
   * @returns how many connections were reset.
   */
  async stop(timeoutMs: number = this.#plan.plan.shutdownTimeoutMs): Promise<{ reset: number }> {
    if (this.#state.name === "starting") await this.#state.run.catch(() => {});
    const state = this.#state;
    if (state.name === "stopping") return state.done;
    if (state.name !== "running") return { reset: 0 };
    const { run } = state;
    this.#forgetSignal();
    const done = run.stop(timeoutMs).then((result) => {
      this.#state = { name: "stopped", addr: run.addr, stats: run.stats() };
      return result;
    });
    this.#state = { name: "stopping", run, done };
    return done;
  }

  stats(): TunnelStats {
    const state = this.#state;
    if (state.name === "stopped") return state.stats;
    return state.name === "running" || state.name === "stopping" ? state.run.stats() : NO_STATS;
  }

  /**
   * Where it listens, with the port that the system chose.
   * @throws ProxyError `ERR_STATE` before `start` has resolved.
   */
  get addr(): Addr {
    const state = this.#state;
    if (state.name === "stopped") return state.addr;
    if (state.name === "running" || state.name === "stopping") return state.run.addr;
    throw new ProxyError("ERR_STATE", "the tunnel has not started", {
      cure: "Await start() first",
    });
  }

  /** Resets every connection at once, also while `stop` waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = this.stop(0);
    if (this.#state.name === "stopping") this.#state.run.hurry();
    await stopped;
  }
}
