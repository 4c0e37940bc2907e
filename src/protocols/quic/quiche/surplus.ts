// What a connection's packets bring that nobody asked for. quiche 0.18 keeps some frames without a bound (CVE-2024-1765,
// CVE-2024-1410), and shows none of it: so bytes of packets are held against bytes that were delivered. Pure. Called by
// connections.

import { QUICHE } from "../../../shared/limits.ts";

/** Of the binding: packets that were authentic, and their bytes. */
export interface Received {
  readonly recv: number;
  readonly recvBytes: number;
}

export class Surplus {
  readonly #allowance: number;
  #arrived = 0;
  #delivered = 0;
  #forgiven = 0;

  /** @param windows what a peer may send ahead of its readers. */
  constructor(windows: number) {
    this.#allowance = QUICHE.surplusBytes + windows;
  }

  /** A packet came, whosever it is. @returns whether to look whether it is too much, which is rare. */
  arrived(bytes: number): boolean {
    this.#arrived += bytes;
    if (this.#arrived < QUICHE.surplusStepBytes) return false;
    this.#arrived = 0;
    return true;
  }

  delivered(bytes: number): void {
    this.#delivered += bytes;
  }

  /** A stream was reset with up to so many bytes that nobody had read. */
  forgive(bytes: number): void {
    this.#forgiven += bytes;
  }

  isTooMuch({ recv, recvBytes }: Received): boolean {
    const surplus =
      recvBytes - recv * QUICHE.packetOverheadBytes - this.#delivered - this.#forgiven;
    return surplus > this.#allowance + this.#delivered * QUICHE.surplusShare;
  }
}
