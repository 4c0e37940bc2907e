// How one of several targets is chosen. A strategy sees only those that may be taken now; balancer.ts says which they are.

/** Open connections: of target `t`, `active[slots[t]]`. Kept by whoever opens and closes them. */
export interface Load {
  readonly active: Int32Array;
  readonly slots: Int32Array;
}

/** The first `count` of `candidates` are indexes of targets; `count` is at least 1. `ip`: the client's, null if it has none. */
export interface Strategy {
  choose(candidates: Int32Array, count: number, ip: Uint8Array | null): number;
}

/**
 * Smooth weighted round robin, as in nginx: each target gains its weight, the richest is taken and pays what all gained.
 * Of weights 5, 1, 1 comes a a b a c a a, not a a a a a b c.
 */
export class RoundRobin implements Strategy {
  readonly #weights: Float64Array;
  readonly #credit: Float64Array;

  constructor(weights: Float64Array) {
    this.#weights = weights;
    this.#credit = new Float64Array(weights.length);
  }

  choose(candidates: Int32Array, count: number): number {
    let gained = 0;
    let best = candidates[0]!;
    for (let i = 0; i < count; i++) {
      const target = candidates[i]!;
      const weight = this.#weights[target]!;
      this.#credit[target]! += weight;
      gained += weight;
      if (this.#credit[target]! > this.#credit[best]!) best = target;
    }
    this.#credit[best]! -= gained;
    return best;
  }
}

/** The fewest connections for its weight; among equals in turn. */
export class LeastConnections implements Strategy {
  readonly #weights: Float64Array;
  readonly #load: Load;
  readonly #turn: RoundRobin;
  readonly #equals: Int32Array;

  constructor(weights: Float64Array, load: Load) {
    this.#weights = weights;
    this.#load = load;
    this.#turn = new RoundRobin(weights);
    this.#equals = new Int32Array(weights.length);
  }

  choose(candidates: Int32Array, count: number): number {
    let equals = 0;
    for (let i = 0; i < count; i++) {
      const target = candidates[i]!;
      const order =
        equals === 0 ? 0 : compareLoad(this.#load, this.#weights, target, this.#equals[0]!);
      if (order > 0) continue;
      if (order < 0) equals = 0;
      this.#equals[equals++] = target;
    }
    return this.#turn.choose(this.#equals, equals);
  }
}

/**
 * Two at random by weight, and of them the one with fewer connections for its weight. Workers that know nothing of each
 * other do not all run to the same target, as they would with least connections.
 */
export class RandomOfTwo implements Strategy {
  readonly #weights: Float64Array;
  readonly #load: Load;
  readonly #random: () => number;

  /** @param random gives numbers from 0 to below 1. */
  constructor(weights: Float64Array, load: Load, random: () => number) {
    this.#weights = weights;
    this.#load = load;
    this.#random = random;
  }

  choose(candidates: Int32Array, count: number): number {
    let total = 0;
    for (let i = 0; i < count; i++) total += this.#weights[candidates[i]!]!;
    const first = this.#draw(candidates, count, total, -1);
    if (count === 1) return first;
    const second = this.#draw(candidates, count, total - this.#weights[first]!, first);
    return compareLoad(this.#load, this.#weights, second, first) < 0 ? second : first;
  }

  #draw(candidates: Int32Array, count: number, total: number, except: number): number {
    let left = this.#random() * total;
    let drawn = except;
    for (let i = 0; i < count; i++) {
      const target = candidates[i]!;
      if (target === except) continue;
      drawn = target;
      left -= this.#weights[target]!;
      if (left < 0) break;
    }
    return drawn;
  }
}

/** Below 0 if `a` has fewer connections for its weight than `b`. */
function compareLoad(load: Load, weights: Float64Array, a: number, b: number): number {
  const { active, slots } = load;
  return active[slots[a]!]! * weights[b]! - active[slots[b]!]! * weights[a]!;
}
