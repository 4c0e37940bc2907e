// The same client always to the same target: weighted rendezvous hashing. Every target draws a number for the client, and
// the best draw wins. Invariant: a draw depends on the client, the target's name and its weight alone, so that a target that
// goes takes only its own clients away, one that comes takes its share from all, and all workers and restarts agree.

import { hashBytes, mix } from "../hash.ts";
import { RoundRobin, type Strategy } from "./strategies.ts";

export class SourceHash implements Strategy {
  readonly #weights: Float64Array;
  readonly #seeds: Uint32Array;
  /** For clients without an address, on unix sockets: nothing tells them apart. */
  readonly #turn: RoundRobin;

  /** @param names tell targets apart, whatever their order is: their addresses as written. */
  constructor(weights: Float64Array, names: readonly string[]) {
    this.#weights = weights;
    this.#seeds = Uint32Array.from(names, (name) => hashBytes(Buffer.from(name)));
    this.#turn = new RoundRobin(weights);
  }

  choose(candidates: Int32Array, count: number, ip: Uint8Array | null): number {
    if (ip === null) return this.#turn.choose(candidates, count);
    const client = hashBytes(ip);
    let best = -1;
    let bestDraw = Infinity;
    for (let i = 0; i < count; i++) {
      const target = candidates[i]!;
      // Uniform between 0 and 1, then exponential with the weight as its rate: the least of several such draws belongs to
      // each with a probability of its share of the weights.
      const uniform = (mix(client ^ this.#seeds[target]!) + 0.5) / 2 ** 32;
      const draw = -Math.log(uniform) / this.#weights[target]!;
      if (draw < bestDraw) [best, bestDraw] = [target, draw];
    }
    return best;
  }
}
