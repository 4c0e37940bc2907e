// Relays between two connections in the caller's thread: one loop for each direction, at most one chunk under way in each.
// Works with every kind of connection; forward.ts calls it where the relay engine cannot serve.

import { messageOf, ProxyError } from "../shared/errors.ts";
import type { Conn } from "./conn.ts";

/** What a relay moved. */
export interface ForwardResult {
  /** From the first connection to the second. */
  readonly bytesUp: number;
  /** From the second connection to the first. */
  readonly bytesDown: number;
}

/** Tells when no byte has moved for too long; one for both directions. */
class IdleAlarm {
  readonly expired: Promise<never>;
  readonly #idleMs: number;
  readonly #expire: (error: ProxyError) => void;
  #movedMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {}); // only of interest while somebody races it
    this.expired = promise;
    this.#expire = reject;
    if (idleMs > 0) this.#arm(idleMs);
  }

  moved(): void {
    this.#movedMs = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#movedMs + this.#idleMs - performance.now();
      if (left > 0) this.#arm(Math.ceil(left));
      else this.#expire(new ProxyError("ERR_RESET", `no byte moved for ${this.#idleMs} ms`));
    }, ms);
  }
}

async function oneWay(from: Conn, to: Conn, alarm: IdleAlarm): Promise<number> {
  let bytes = 0;
  for (let chunk = await from.read(); chunk !== null; chunk = await from.read()) {
    alarm.moved();
    await to.write(chunk);
    alarm.moved();
    bytes += chunk.length;
  }
  await to.closeWrite();
  return bytes;
}

/**
 * Moves bytes both ways, passing each FIN on after all bytes, until both directions have ended.
 * @param idleMs resets both connections when no byte moves for this long; 0: never.
 * @throws ProxyError `ERR_RESET` when either direction fails; both connections are reset then.
 */
export async function pump(a: Conn, b: Conn, idleMs: number): Promise<ForwardResult> {
  const alarm = new IdleAlarm(idleMs);
  try {
    const both = Promise.all([oneWay(a, b, alarm), oneWay(b, a, alarm)]);
    const [bytesUp, bytesDown] = await Promise.race([both, alarm.expired]);
    await Promise.all([a.close(), b.close()]);
    return { bytesUp, bytesDown };
  } catch (error) {
    a.reset();
    b.reset();
    if (error instanceof ProxyError) throw error;
    throw new ProxyError("ERR_RESET", `the relay was broken off: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    alarm.stop();
  }
}
