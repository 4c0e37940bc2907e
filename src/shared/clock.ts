// The data plane's clock: timeouts are measured with it, and the control plane reads it as the time of day.

const ORIGIN_MS = performance.timeOrigin;

/** Unix time in milliseconds that never jumps: a clock that is set must not end idle connections. */
export function monotonicMs(): number {
  return ORIGIN_MS + performance.now();
}
