// How many connections each client address has, for limits.max_per_ip: a hash table in memory that all workers of a listener
// share, since the kernel spreads one client's connections over them. Open addressing with linear probing; an entry that
// goes is closed over at once, so that no tombstones pile up. Under a lock: what is counted is exact.
//
//   header: lock, used, seed, capacity (Int32) · keys (4 × Uint32 each) · counts (Int32 each, 0: free)
//
// Memory is bounded by the connections that the listener may have, and touched only where addresses fall. A client is a
// whole address, as in nginx and haproxy and as the key says; with fewer IPv6 bits a network is one client.

import { isIPv4 } from "../shared/ip.ts";
import { mix } from "./hash.ts";
import { acquire, release } from "./lock.ts";

const HEADER_WORDS = 4;
const LOCK = 0;
const USED = 1;
const SEED = 2;
const CAPACITY = 3;
const KEY_WORDS = 4;

/**
 * @param clientsMax clients at once, at most; there are never more than connections.
 * @param seed a number that strangers do not know, so that they cannot choose addresses that fall into one place.
 */
export function clientCountsMemory(clientsMax: number, seed: number): SharedArrayBuffer {
  const capacity = capacityFor(clientsMax);
  const memory = new SharedArrayBuffer(clientCountsBytes(clientsMax));
  const header = new Int32Array(memory, 0, HEADER_WORDS);
  header[SEED] = seed;
  header[CAPACITY] = capacity;
  return memory;
}

/** How much that is. */
export function clientCountsBytes(clientsMax: number): number {
  return (HEADER_WORDS + capacityFor(clientsMax) * (KEY_WORDS + 1)) * 4;
}

/** Half full at most: probes stay short. */
function capacityFor(clientsMax: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, clientsMax * 2)));
}

export class ClientCounts {
  readonly #header: Int32Array;
  readonly #keys: Uint32Array;
  readonly #counts: Int32Array;
  readonly #mask: number;
  readonly #seed: number;
  readonly #prefix: Uint32Array;
  /** The address that is looked for. */
  readonly #key = new Uint32Array(KEY_WORDS);

  /**
   * @param memory of `clientCountsMemory`.
   * @param ipv6Bits how many bits tell two IPv6 clients apart; the same in all workers.
   */
  constructor(memory: SharedArrayBuffer, ipv6Bits = 128) {
    this.#header = new Int32Array(memory, 0, HEADER_WORDS);
    const capacity = this.#header[CAPACITY]!;
    const keysAt = HEADER_WORDS * 4;
    this.#keys = new Uint32Array(memory, keysAt, capacity * KEY_WORDS);
    this.#counts = new Int32Array(memory, keysAt + this.#keys.byteLength, capacity);
    this.#mask = capacity - 1;
    this.#seed = this.#header[SEED]!;
    this.#prefix = Uint32Array.from({ length: KEY_WORDS }, (_, i) => {
      const bits = Math.min(32, Math.max(0, ipv6Bits - 32 * i));
      return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
    });
  }

  /** Clients that have a connection. */
  get size(): number {
    return Atomics.load(this.#header, USED);
  }

  /** One connection more, unless the client has `max` already. @returns whether it was counted. */
  enter(ip: Uint8Array, max: number): boolean {
    this.#setKey(ip);
    acquire(this.#header, LOCK);
    const at = this.#find();
    const count = this.#counts[at]!;
    const isNew = count === 0;
    // More clients than were announced are turned away before the table is so full that probes do not end.
    const admitted = count < max && !(isNew && this.#header[USED]! > this.#mask >>> 1);
    if (admitted) {
      if (isNew) {
        this.#keys.set(this.#key, at * KEY_WORDS);
        this.#header[USED]!++;
      }
      this.#counts[at] = count + 1;
    }
    release(this.#header, LOCK);
    return admitted;
  }

  /** A connection that was counted ended. */
  leave(ip: Uint8Array): void {
    this.#setKey(ip);
    acquire(this.#header, LOCK);
    const at = this.#find();
    const count = this.#counts[at]!;
    if (count > 0) this.#counts[at] = count - 1;
    if (count === 1) {
      this.#header[USED]!--;
      this.#close(at);
    }
    release(this.#header, LOCK);
  }

  /** Connections of this client now. */
  count(ip: Uint8Array): number {
    this.#setKey(ip);
    acquire(this.#header, LOCK);
    const count = this.#counts[this.#find()]!;
    release(this.#header, LOCK);
    return count;
  }

  #setKey(ip: Uint8Array): void {
    const whole = isIPv4(ip);
    for (let i = 0; i < KEY_WORDS; i++) {
      const word =
        (ip[i * 4]! << 24) | (ip[i * 4 + 1]! << 16) | (ip[i * 4 + 2]! << 8) | ip[i * 4 + 3]!;
      this.#key[i] = whole ? word : word & this.#prefix[i]!;
    }
  }

  /** The key's entry, or the free one where it belongs. */
  #find(): number {
    let at = this.#home(this.#key, 0);
    while (this.#counts[at] !== 0 && !this.#holdsKey(at)) at = (at + 1) & this.#mask;
    return at;
  }

  #holdsKey(at: number): boolean {
    for (let i = 0; i < KEY_WORDS; i++) {
      if (this.#keys[at * KEY_WORDS + i] !== this.#key[i]) return false;
    }
    return true;
  }

  /** Where probing for a key begins. */
  #home(words: Uint32Array, from: number): number {
    let hash = this.#seed;
    for (let i = from; i < from + KEY_WORDS; i++) hash = mix(hash ^ words[i]!);
    return hash & this.#mask;
  }

  /** Moves entries back over one that became free, as far as their probing passes over it. */
  #close(hole: number): void {
    for (let at = (hole + 1) & this.#mask; this.#counts[at] !== 0; at = (at + 1) & this.#mask) {
      const home = this.#home(this.#keys, at * KEY_WORDS);
      const fromHome = (at - home) & this.#mask;
      const fromHole = (at - hole) & this.#mask;
      if (fromHome < fromHole) continue;
      this.#keys.copyWithin(hole * KEY_WORDS, at * KEY_WORDS, (at + 1) * KEY_WORDS);
      this.#counts[hole] = this.#counts[at]!;
      this.#counts[at] = 0;
      hole = at;
    }
  }
}
