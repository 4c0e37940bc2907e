// Gives a pair of plain sockets to the relay engine, which moves their bytes in the kernel (splice(2)) on a thread of its
// own. One engine for the process: it starts with the first pair and ends shortly after the last, so that a script can exit.
//
//   Bun socket ──duplicate──▶ descriptor ──adopt──▶ engine duplicates again ──▶ ours are closed
//       └─ close(2) at once: no shutdown, no reset, and no event of Bun's can disturb the pair any more

import { closeSync } from "node:fs";

import { Proxy } from "../control/proxy.ts";
import { closeWithReset, duplicate, resetShared } from "../ffi/duplicate.ts";
import { PROXY_DEFAULTS, RING_DEFAULTS } from "../shared/limits.ts";
import { type BuffersPlan, NO_OVERLOAD, type Plan } from "../shared/plan.ts";
import type { Conn } from "./conn.ts";
import { handoverOf } from "./handover.ts";
import type { ForwardResult } from "./pump.ts";
import type { SocketConn } from "./socket-conn.ts";

const PLAN: Plan = {
  engine: "auto",
  workers: 1, // one thread moves more bytes in the kernel than the rest of a script produces
  shutdownTimeoutMs: 0,
  shutdownDelayMs: 0,
  overload: NO_OVERLOAD,
  autoTls: null,
  admin: null,
  ring: RING_DEFAULTS,
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

export interface SpliceResult extends ForwardResult {
  /** False: the relay is for someone else to go on with, after these bytes. */
  readonly done: boolean;
}

const NOT_STARTED: SpliceResult = { done: false, bytesUp: 0, bytesDown: 0 };

/**
 * Relays between two connections in the kernel, if possible. It is not for other kinds of connections, on other platforms,
 * while a call is under way on one of them, and when more is read ahead than the other side takes at once.
 * @throws ProxyError `ERR_RESET` when the pair is reset.
 */
export async function splice(
  a: Conn,
  b: Conn,
  idleMs: number,
  buffers: BuffersPlan,
): Promise<SpliceResult> {
  if (process.platform !== "linux") return NOT_STARTED;
  const [first, second] = [handoverOf(a), handoverOf(b)];
  if (first === null || second === null) return NOT_STARTED;
  const idles = [idleMs, first.idleMs, second.idleMs].filter((ms) => ms > 0);
  const shortest = idles.length > 0 ? Math.min(...idles) : 0;
  const proxy = await engine.acquire();
  try {
    if (proxy === null || !ready(first.socket) || !ready(second.socket)) return NOT_STARTED;
    const pair = takePair(first.socket, second.socket);
    const [bytesUp, bytesDown] = pair.ahead;
    if (pair.fds === null) return { done: false, bytesUp, bytesDown };
    const relayed = await relay(proxy, pair.sockets, pair.fds, shortest, buffers);
    return {
      done: true,
      bytesUp: bytesUp + relayed.bytesUp,
      bytesDown: bytesDown + relayed.bytesDown,
    };
  } finally {
    engine.release();
  }
}

interface Pair {
  readonly sockets: readonly [SocketConn, SocketConn];
  /** Duplicates of both descriptors; null if the pair has to stay. */
  readonly fds: readonly [number, number] | null;
  /** Bytes read ahead by Bun and passed on now. */
  readonly ahead: readonly [number, number];
}

function ready(socket: SocketConn): boolean {
  return socket.quiet && !socket.held && socket.fd !== null;
}

/** Sends on what was read ahead and duplicates the descriptors, all in one go: no event comes between. */
function takePair(a: SocketConn, b: SocketConn): Pair {
  const ahead = [sendAhead(a, b), sendAhead(b, a)] as const;
  const sockets = [a, b] as const;
  return { sockets, ahead, fds: ready(a) && ready(b) ? duplicateBoth(a.fd!, b.fd!) : null };
}

function duplicateBoth(a: number, b: number): readonly [number, number] | null {
  const first = duplicate(a);
  if (first < 0) return null;
  const second = duplicate(b);
  if (second >= 0) return [first, second];
  closeSync(first);
  return null;
}

function sendAhead(from: SocketConn, to: SocketConn): number {
  let bytes = 0;
  for (const chunk of from.takeUnread()) {
    // A failure makes `quiet` false or reaches the engine as the socket's own error.
    to.write(chunk).catch(() => {});
    bytes += chunk.length;
  }
  return bytes;
}

async function relay(
  proxy: Proxy,
  [a, b]: readonly [SocketConn, SocketConn],
  fds: readonly [number, number],
  idleMs: number,
  buffers: BuffersPlan,
): Promise<ForwardResult> {
  let over = false;
  const reset = (): void => {
    if (!over) resetShared(fds[0]);
  };
  const { taken, done, moved } = proxy.adopt(fds, { idleMs, ...buffers });
  a.give(reset, () => [moved().bytesUp, moved().bytesDown]);
  b.give(reset, () => [moved().bytesDown, moved().bytesUp]);
  let secondOpen = true;
  try {
    await taken;
    closeSync(fds[1]);
    secondOpen = false;
    const result = await done;
    closeSync(fds[0]); // kept until now as the handle by which the pair can be reset
    return result;
  } catch (error) {
    // The engine has reset and closed its own descriptors; the peers learn of it when the last ones close.
    closeWithReset(fds[0]);
    if (secondOpen) closeWithReset(fds[1]);
    throw error;
  } finally {
    over = true;
    a.relayed();
    b.relayed();
  }
}
