// Counts what active probes find: a target goes down after `fall` failures in a row and comes back after `rise` successes
// in a row. It lives where the probes are made; workers are told of the changes (health.ts).

export class ProbeResults {
  readonly #rise: number;
  readonly #fall: number;
  readonly #down: Uint8Array;
  /** Results in a row that contradict what the target is held for. */
  readonly #against: Int32Array;

  /** Every target is held for up until `fall` probes have failed: a start must not wait for probes. */
  constructor(targets: number, { rise, fall }: { readonly rise: number; readonly fall: number }) {
    this.#rise = rise;
    this.#fall = fall;
    this.#down = new Uint8Array(targets);
    this.#against = new Int32Array(targets);
  }

  isUp(target: number): boolean {
    return this.#down[target] === 0;
  }

  /** @returns whether this result changes what the target is held for. */
  record(target: number, succeeded: boolean): boolean {
    const up = this.isUp(target);
    if (succeeded === up) {
      this.#against[target] = 0;
      return false;
    }
    this.#against[target]!++;
    if (this.#against[target]! < (up ? this.#fall : this.#rise)) return false;
    this.#against[target] = 0;
    this.#down[target] = up ? 1 : 0;
    return true;
  }
}
