// Forwards in this thread, so that every byte is seen: accept, connect to the target, pump. Half-close, resets and backpressure
// are the library's. Called by commands/capture.ts.

import type { Conn, Listener } from "../library/conn.ts";
import { dial } from "../library/dial.ts";
import { forward } from "../library/forward.ts";
import { listen } from "../library/listen.ts";
import { dialOptions, listenOptions } from "../library/tunnel-options.ts";
import { formatEndpoint } from "../shared/address.ts";
import { messageOf } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { formatTargets, type RelayPlan } from "../shared/plan.ts";
import type { Sink } from "./sink.ts";
import { TappedConn } from "./tap.ts";
import type { Format, Trace } from "./trace.ts";

export interface CaptureOptions {
  readonly listener: Listener;
  /** With one target. */
  readonly plan: RelayPlan;
  readonly format: Format;
  readonly sink: Sink;
  readonly log: Log;
  /** After this many connections nothing more is accepted; 0: no limit. */
  readonly connections: number;
  /** A client was turned away; `detail` names the target and the reason. */
  readonly onUnreachable: (detail: string) => void;
}

/** @throws ProxyError ERR_LISTEN. Nothing is accepted before a CaptureRelay runs. */
export function openListener(plan: RelayPlan, log: Log): Promise<Listener> {
  return listen(formatEndpoint(plan.listen), listenOptions(plan, log));
}

interface Pair {
  readonly client: TappedConn;
  /** null until it is reached. */
  target: Conn | null;
}

export class CaptureRelay {
  readonly #options: CaptureOptions;
  readonly #target: string;
  readonly #open = new Set<Pair>();
  /** Ends dialling. */
  readonly #ending = new AbortController();
  #accepted = 0;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#target = formatTargets(options.plan);
  }

  /** Connections so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections now. */
  get open(): number {
    return this.#open.size;
  }

  /** Resolves when nothing more is accepted and the last connection is over. */
  async run(): Promise<void> {
    const { listener, connections } = this.#options;
    const serving = new Set<Promise<void>>();
    for await (const client of listener) {
      this.#accepted++;
      const serve = this.#serve(client, this.#accepted).finally(() => serving.delete(serve));
      serving.add(serve);
      if (this.#accepted === connections) await listener.close();
    }
    await Promise.all(serving);
  }

  /** Accepts nothing more; connections go on. */
  async stop(): Promise<void> {
    await this.#options.listener.close();
  }

  /** Resets every connection. */
  async kill(): Promise<void> {
    await this.stop();
    this.#ending.abort();
    for (const { client, target } of this.#open) {
      client.resetBecause("the capture was stopped");
      target?.reset(); // the pump may be waiting for it alone
    }
  }

  /** One client from beginning to end. Never rejects. */
  async #serve(conn: Conn, number: number): Promise<void> {
    const { format, sink } = this.#options;
    const { remoteAddr: client, localAddr: proxy } = conn;
    const trace = format.trace({ number, client, proxy, target: this.#target });
    const pair: Pair = { client: new TappedConn(conn, trace, sink), target: null };
    this.#open.add(pair);
    await sink.write(trace.opened());
    await this.#relay(pair, trace).catch(() => {}); // both are reset, and it was told
    await sink.write(trace.closed());
    this.#open.delete(pair);
  }

  async #relay(pair: Pair, trace: Trace): Promise<void> {
    const target = await this.#reach(pair.client);
    if (target === null) return;
    pair.target = target;
    if (this.#ending.signal.aborted) return target.reset();
    await this.#options.sink.write(trace.connected(String(target.remoteAddr)));
    await forward(pair.client, target, { splice: false });
  }

  async #reach(client: TappedConn): Promise<Conn | null> {
    const { plan, log, onUnreachable } = this.#options;
    try {
      return await dial(this.#target, dialOptions(plan, log, this.#ending.signal));
    } catch (error) {
      if (this.#ending.signal.aborted) return null;
      client.resetBecause(messageOf(error));
      onUnreachable(messageOf(error));
      return null;
    }
  }
}
