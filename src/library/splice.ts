// Gives a pair of plain sockets to the relay engine, which moves their bytes in the kernel (splice(2)) on a thread of its
// own. One engine for the process: it starts with the first pair and ends shortly after the last, so that a script can exit.
//
//   Bun socket ──duplicate──▶ descriptor ──adopt──▶ engine duplicates again ──▶ ours are closed
//       └─ close(2) at once: no shutdown, no reset, and no event of Bun's can disturb the pair any more
import { closeSync } from "node:fs";

import { Proxy } from "../control/proxy.ts";
import { closeWithReset, duplicate, resetShared } from "../ffi/duplicate.ts";
import { PROXY_DEFAULTS } from "../shared/limits.ts";
import type { BuffersPlan, Plan } from "../shared/plan.ts";
import type { Conn } from "./conn.ts";
import { HANDOVER, type Handover } from "./handover.ts";
import type { ForwardResult } from "./pump.ts";
import type { SocketConn } from "./socket-conn.ts";

const PLAN: Plan = {
  engine: "auto",
  workers: 1, // one thread moves more bytes in the kernel than the rest of a script produces
  shutdownTimeoutMs: 0,
  log: { level: PROXY_DEFAULTS.logLevel, format: "json" },
  listeners: [],
};

/** How long the engine waits for another pair: longer than the pauses of a busy program, shorter than a person notices. */
const LINGER_MS = 250;

class SharedEngine {
  #proxy: Promise<Proxy | null> | null = null;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Null where no engine here can splice. Balance every call with `release`. */
  acquire(): Promise<Proxy | null> {
    this.#users++;
    clearTimeout(this.#timer);
    this.#proxy ??= this.#start();
    return this.#proxy;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    this.#timer = setTimeout(() => {
      const ending = this.#proxy;
      this.#proxy = null;
      void ending?.then((proxy) => proxy?.kill());
    }, LINGER_MS);
  }

  async #start(): Promise<Proxy | null> {
    try {
      const proxy = await Proxy.start(PLAN);
      if (proxy.engine !== "bun") return proxy;
      await proxy.kill();
    } catch {
      // The pump serves instead, and another engine may start later (say, when descriptors are free again).
    }
    return null;
  }
}

const engine = new SharedEngine();

function handoverOf(conn: Conn): Handover | null {
  return (conn as { [HANDOVER]?: () => Handover | null })[HANDOVER]?.() ?? null;
}

/**
 * Relays between two connections in the kernel.
 * @returns null, with both connections as they were, if that is not possible: another kind of connection, another platform, a
 *   call under way on one of them, or more bytes read ahead than the other side takes at once.
 * @throws ProxyError `ERR_RESET` when the pair is reset.
 */
export async function splice(
  a: Conn,
  b: Conn,
  idleMs: number,
  buffers: BuffersPlan,
): Promise<ForwardResult | null> {
  if (process.platform !== "linux") return null;
  const [first, second] = [handoverOf(a), handoverOf(b)];
  if (first === null || second === null) return null;
  const idles = [idleMs, first.idleMs, second.idleMs].filter((ms) => ms > 0);
  const shortest = idles.length > 0 ? Math.min(...idles) : 0;
  const proxy = await engine.acquire();
  try {
    if (proxy === null) return null;
    const pair = takePair(first.socket, second.socket);
    return pair === null ? null : await relay(proxy, pair, shortest, buffers);
  } finally {
    engine.release();
  }
}

interface Pair {
  readonly sockets: readonly [SocketConn, SocketConn];
  readonly fds: readonly [number, number];
  /** Bytes read ahead by Bun and passed on before the engine took over. */
  readonly ahead: readonly [number, number];
}

/** Sends on what was read ahead and duplicates the descriptors, all in one go: no event comes between. */
function takePair(a: SocketConn, b: SocketConn): Pair | null {
  if (!a.quiet || !b.quiet || a.held || b.held || a.fd === null || b.fd === null) return null;
  const up = sendAhead(a, b);
  const down = sendAhead(b, a);
  if (!a.quiet || !b.quiet) return null; // the pump goes on after what waits
  const first = duplicate(a.fd);
  const second = first < 0 ? -1 : duplicate(b.fd);
  if (second < 0) {
    if (first >= 0) closeSync(first);
    return null;
  }
  return { sockets: [a, b], fds: [first, second], ahead: [up, down] };
}

function sendAhead(from: SocketConn, to: SocketConn): number {
  const bytes = from.takeUnread();
  // A failure makes `quiet` false or reaches the engine as the socket's own error.
  if (bytes.length > 0) to.write(bytes).catch(() => {});
  return bytes.length;
}

async function relay(
  proxy: Proxy,
  pair: Pair,
  idleMs: number,
  buffers: BuffersPlan,
): Promise<ForwardResult> {
  const { sockets, fds, ahead } = pair;
  const [a, b] = sockets;
  let over = false;
  const reset = (): void => {
    if (!over) resetShared(fds[0]);
  };
  a.give(reset);
  b.give(reset);
  const { taken, done } = proxy.adopt(fds, { idleMs, ...buffers });
  let { bytesUp, bytesDown } = { bytesUp: 0, bytesDown: 0 };
  let second: number | null = fds[1];
  try {
    await taken;
    closeSync(second);
    second = null;
    ({ bytesUp, bytesDown } = await done);
    closeSync(fds[0]);
    return { bytesUp: bytesUp + ahead[0], bytesDown: bytesDown + ahead[1] };
  } catch (error) {
    // The engine has reset and closed its own descriptors; the peers learn of it when the last ones close.
    closeWithReset(fds[0]);
    if (second !== null) closeWithReset(second);
    throw error;
  } finally {
    over = true;
    a.relayed(bytesUp, bytesDown);
    b.relayed(bytesDown, bytesUp);
  }
}
