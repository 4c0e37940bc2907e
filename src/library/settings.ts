// Settings of a single connection or listener, with their defaults, and how they become socket options. Called by `listen`,
// `dial` and `optimizeTcpConn`.

import { cutBuffers, setSocketOptions, type SocketRole } from "../ffi/socket-options.ts";
import { ProxyError } from "../shared/errors.ts";
import { BOUNDS, LISTENER_DEFAULTS } from "../shared/limits.ts";
import { type Log } from "../shared/log.ts";
import type { SocketPlan } from "../shared/plan.ts";
import type { Conn } from "./conn.ts";
import { handoverOf } from "./handover.ts";
import type { Watermarks } from "./socket-conn.ts";

/** What can be set on a connection. Unset means the default. */
export interface ConnSettings {
  /** TCP_NODELAY: small writes leave at once. Default true. */
  readonly noDelay?: boolean;
  /** TCP_QUICKACK: acknowledgements leave at once; Linux only, and until the kernel changes its mind (tcp(7)). Default false. */
  readonly quickAck?: boolean;
  /** Milliseconds of silence before, and between, TCP keepalive probes; 0: none. Default 30,000. */
  readonly keepAlive?: number;
  /** SO_SNDBUF in bytes. Default: the system's own, which adapts. */
  readonly sendBufferSize?: number;
  /** SO_RCVBUF in bytes. Default: the system's own, which adapts. */
  readonly recvBufferSize?: number;
  /** TCP_NOTSENT_LOWAT in bytes, Linux and macOS. Default: the system's own. */
  readonly notsentLowat?: number;
  /** Unread bytes at which reading stops; Bun's single reads of up to 512 KiB may exceed it. Default 1 MiB. */
  readonly highWatermark?: number;
  /** Unread bytes at which reading goes on. Default: half of `highWatermark`. */
  readonly lowWatermark?: number;
  /** Takes warnings about what this platform lacks. Default: `process.emitWarning`. */
  readonly log?: Log;
}

/** @throws ProxyError `ERR_USAGE` for a low watermark above the high one, or either out of bounds. */
export function watermarksOf(settings: ConnSettings): Watermarks {
  const highWatermark = settings.highWatermark ?? LISTENER_DEFAULTS.highWatermarkBytes;
  const lowWatermark = settings.lowWatermark ?? Math.floor(highWatermark / 2);
  requireInteger("highWatermark", highWatermark, BOUNDS.watermarkMin, BOUNDS.watermarkMax);
  requireInteger("lowWatermark", lowWatermark, 0, highWatermark);
  return { highWatermark, lowWatermark };
}

/** @throws ProxyError `ERR_USAGE`, naming the setting and its bounds. */
export function requireInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return;
  throw new ProxyError("ERR_USAGE", `${name} is ${String(value)}`, {
    cure: `Give a whole number from ${min} to ${max}`,
  });
}

/** Checks every setting that is a number. @throws ProxyError `ERR_USAGE`. */
export function checkSettings(settings: ConnSettings): void {
  const { keepAlive, sendBufferSize, recvBufferSize, notsentLowat } = settings;
  if (keepAlive !== undefined) {
    requireInteger("keepAlive", keepAlive, 0, BOUNDS.keepaliveMaxSeconds * 1000);
  }
  for (const [name, value] of Object.entries({ sendBufferSize, recvBufferSize })) {
    if (value === undefined) continue;
    requireInteger(name, value, BOUNDS.socketBufferMin, BOUNDS.socketBufferMax);
  }
  if (notsentLowat !== undefined) {
    requireInteger("notsentLowat", notsentLowat, 1, BOUNDS.socketBufferMax);
  }
  watermarksOf(settings);
}

export function keepAliveOf(settings: ConnSettings): number {
  return settings.keepAlive ?? LISTENER_DEFAULTS.keepaliveSeconds * 1000;
}

/**
 * Sets the options of `settings` on a descriptor, but for TCP_NODELAY, which Bun sets on every socket.
 * @returns what could not be set, as sentences.
 */
export function applySettings(fd: number, settings: ConnSettings, role: SocketRole): string[] {
  return setSocketOptions(fd, optionsOf(settings), role);
}

function optionsOf(settings: ConnSettings): Partial<SocketPlan> {
  return {
    quickack: settings.quickAck ?? false,
    // The kernel counts seconds (tcp(7)): what is finer is rounded up, so that probes are never more frequent than asked.
    keepaliveSeconds: Math.ceil(keepAliveOf(settings) / 1000),
    sendBufferBytes: settings.sendBufferSize ?? null,
    receiveBufferBytes: settings.recvBufferSize ?? null,
    notsentLowatBytes: settings.notsentLowat ?? null,
  };
}

const warned = new Set<string>();

/** Reports what could not be set: to the log each time, to the process once for each text. */
export function reportWarnings(warnings: readonly string[], log: Log | undefined): void {
  for (const warning of warnings) {
    if (log !== undefined) log.warn({}, warning);
    else if (!warned.has(warning)) {
      warned.add(warning);
      process.emitWarning(warning, "BunTunnelWarning");
    }
  }
}

/** For low latency: no delay, quick acknowledgements where the system has them, keepalive, buffers of 256 KiB. */
export const OPTIMIZED: ConnSettings = {
  noDelay: true,
  quickAck: process.platform === "linux",
  keepAlive: 30_000,
  sendBufferSize: 256 * 1024,
  recvBufferSize: 256 * 1024,
};

/**
 * Tunes a connection for a proxy's work: by default TCP_NODELAY, TCP_QUICKACK (Linux), keepalive of 30 s, and buffers of
 * 256 KiB (which turn the system's own adaption off).
 * @returns one sentence for each option that the platform lacks, refused or cut; empty when all took effect.
 * @throws ProxyError `ERR_STATE` if the connection has no descriptor: it is over, wrapped, not TCP, or this is Windows.
 */
export function optimizeTcpConn(conn: Conn, settings: ConnSettings = OPTIMIZED): string[] {
  checkSettings(settings);
  const { fd } = conn;
  const socket = handoverOf(conn)?.socket;
  if (fd === null || socket === undefined || conn.remoteAddr.network !== "tcp") {
    throw new ProxyError(
      "ERR_STATE",
      `the connection with ${conn.remoteAddr} has no TCP descriptor`,
    );
  }
  socket.setNoDelay(settings.noDelay ?? LISTENER_DEFAULTS.nodelay);
  return [...applySettings(fd, settings, "accepted"), ...cutBuffers(optionsOf(settings))];
}
