// Relaying between two connections: in the kernel where both are plain sockets and the platform can, else in this thread.
// Either way a FIN is passed on after all bytes, a reset as a reset, and a stalled reader stalls its writer.

import { messageOf, ProxyError } from "../shared/errors.ts";
import { BOUNDS, LISTENER_DEFAULTS } from "../shared/limits.ts";
import type { Log } from "../shared/log.ts";
import type { BuffersPlan } from "../shared/plan.ts";
import type { Conn } from "./conn.ts";
import { handoverOf } from "./handover.ts";
import { type ForwardResult, pump } from "./pump.ts";
import { requireInteger } from "./settings.ts";
import { splice } from "./splice.ts";

export type { ForwardResult } from "./pump.ts";

/** How to relay. */
export interface ForwardOptions {
  /** Milliseconds without a byte either way after which both connections are reset; 0: never. Default 0. */
  readonly idleTimeout?: number;
  /** Relays in the kernel where possible (two connections of `listen` or `dial`, on Linux). Default true. */
  readonly splice?: boolean;
  /** In the kernel: the most bytes that one read copies, before and after bulk. Default 64 KiB. */
  readonly bufferSize?: number;
  /** In the kernel: undelivered bytes at which a direction stops reading; else the connections' own hold. Default 1 MiB. */
  readonly highWatermark?: number;
  /** In the kernel: undelivered bytes at which it reads again, below `highWatermark`. Default: half of it. */
  readonly lowWatermark?: number;
  /** Gets a debug line for every pair that `handlePair` finishes. Default: none. */
  readonly log?: Log;
}

/** Relays with fixed options. A `Protocol` has one. */
export interface Forwarder {
  /** See `forward`. */
  forward(a: Conn, b: Conn): Promise<ForwardResult>;
  /** See `handlePair`. */
  handlePair(a: Conn, b: Conn): void;
}

/**
 * Relays between two connections until both directions have ended, then closes both.
 * @returns how many bytes went each way, counting from this call.
 * @throws ProxyError `ERR_RESET` when either side is reset, breaks or idles too long; both connections are reset then.
 *   `ERR_STATE` if one of them is being forwarded already, `ERR_USAGE` for an option out of bounds or one connection given twice.
 */
export async function forward(
  a: Conn,
  b: Conn,
  options: ForwardOptions = {},
): Promise<ForwardResult> {
  return forwardChecked(a, b, checkOptions(options));
}

/**
 * Relays between two connections and forgets about it: whatever happens to them, nothing is thrown, and both end up closed or
 * reset. @throws ProxyError `ERR_USAGE` for an option out of bounds.
 */
export function handlePair(a: Conn, b: Conn, options: ForwardOptions = {}): void {
  newForwarder(options).handlePair(a, b);
}

/** @throws ProxyError `ERR_USAGE` for an option out of bounds. */
export function newForwarder(options: ForwardOptions = {}): Forwarder {
  const checked = checkOptions(options);
  return {
    forward: (a, b) => forwardChecked(a, b, checked),
    handlePair(a, b) {
      const pair = { a: String(a.remoteAddr), b: String(b.remoteAddr) };
      forwardChecked(a, b, checked).then(
        (result) => options.log?.debug({ ...pair, ...result }, "pair closed"),
        (error) => options.log?.debug({ ...pair, error: messageOf(error) }, "pair reset"),
      );
    },
  };
}

interface Checked {
  readonly idleMs: number;
  readonly kernel: boolean;
  readonly buffers: BuffersPlan;
}

function checkOptions(options: ForwardOptions): Checked {
  const {
    idleTimeout: idleMs = 0,
    bufferSize: copyBytes = LISTENER_DEFAULTS.copyBytes,
    highWatermark: highWatermarkBytes = LISTENER_DEFAULTS.highWatermarkBytes,
    lowWatermark: lowWatermarkBytes = Math.floor(highWatermarkBytes / 2),
  } = options;
  requireInteger("idleTimeout", idleMs, 0, BOUNDS.timeoutMaxMs);
  requireInteger("bufferSize", copyBytes, BOUNDS.copyBytesMin, BOUNDS.copyBytesMax);
  requireInteger("highWatermark", highWatermarkBytes, BOUNDS.watermarkMin, BOUNDS.watermarkMax);
  // Equal marks would stop a direction that is never told to go on.
  requireInteger("lowWatermark", lowWatermarkBytes, 0, highWatermarkBytes - 1);
  const buffers = {
    copyBytes: Math.min(copyBytes, highWatermarkBytes), // one read must not overshoot the high watermark
    highWatermarkBytes,
    lowWatermarkBytes,
  };
  return { idleMs, kernel: options.splice ?? true, buffers };
}

async function forwardChecked(a: Conn, b: Conn, options: Checked): Promise<ForwardResult> {
  const { idleMs, kernel, buffers } = options;
  if (a === b) throw new ProxyError("ERR_USAGE", "a connection cannot be forwarded to itself");
  for (const conn of [a, b]) {
    if (handoverOf(conn)?.socket.given !== true) continue;
    throw new ProxyError("ERR_STATE", `the connection with ${conn.remoteAddr} is being forwarded`);
  }
  if (!kernel) return pump(a, b, idleMs);
  const { done, bytesUp, bytesDown } = await splice(a, b, idleMs, buffers);
  if (done) return { bytesUp, bytesDown };
  const rest = await pump(a, b, idleMs);
  return { bytesUp: bytesUp + rest.bytesUp, bytesDown: bytesDown + rest.bytesDown };
}
