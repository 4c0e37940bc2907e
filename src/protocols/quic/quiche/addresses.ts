// Where a connection's peer is, and what quiche believes of that. A NAT that forgets a client gives it another port: quiche would
// take that for another path, and what was on its way to the old port would come after minutes only, since quiche 0.18 repeats
// it two packets at a time, at intervals that double. So it is told of one port for each address, and packets for it
// go to the port that the last one came from. Another address is another path, which quiche validates (RFC 9000 section 9).
//
// Invariant: only an authentic packet moves a peer. Called by connections.

import { QUICHE } from "../../../shared/limits.ts";
import type { HostPort, PathInfo } from "./binding.ts";

interface Place {
  /** As quiche knows it. */
  readonly path: PathInfo;
  /** Where its packets go. */
  to: HostPort;
  /** When it changed. */
  movedMs: number;
}

export class Addresses {
  readonly #local: HostPort;
  /** By host. */
  readonly #places = new Map<string, Place>();
  #last: Place;
  /** Some place has another port than quiche knows. */
  #shifted = false;

  constructor(remote: HostPort, local: HostPort) {
    this.#local = local;
    this.#last = this.#placeAt(remote);
    this.#places.set(remote.host, this.#last);
  }

  #placeAt(remote: HostPort): Place {
    return { path: { from: remote, to: this.#local }, to: remote, movedMs: -Infinity };
  }

  /** The last packet came from there, too. */
  isLast(port: number, host: string): boolean {
    const { to } = this.#last;
    return to.port === port && to.host === host;
  }

  /** Of the last packet. */
  get last(): PathInfo {
    return this.#last.path;
  }

  /** What quiche is to believe of a packet from there. */
  pathOf(port: number, host: string): PathInfo {
    return this.#places.get(host)?.path ?? this.#placeAt({ host, port }).path;
  }

  /**
   * A packet of `pathOf` was authentic. @returns whether its port is another one than before.
   */
  moved(path: PathInfo, port: number, nowMs: number): boolean {
    const { host } = path.from;
    let place = this.#places.get(host);
    if (place === undefined) {
      if (this.#places.size >= QUICHE.cidsMax) this.#forgetOne();
      place = { path, to: path.from, movedMs: -Infinity };
      this.#places.set(host, place);
    }
    this.#last = place;
    // What the old port still had under way does not move it back.
    if (place.to.port === port || nowMs - place.movedMs < QUICHE.movedRestMs) return false;
    place.to = { host, port };
    place.movedMs = nowMs;
    this.#shifted = true;
    return true;
  }

  #forgetOne(): void {
    for (const host of this.#places.keys()) {
      if (host === this.#last.path.from.host) continue;
      this.#places.delete(host);
      return;
    }
  }

  /** Where a packet goes that quiche addressed to `to`. */
  targetOf(to: HostPort): HostPort {
    if (!this.#shifted) return to;
    const place = this.#places.get(to.host);
    return place?.path.from.port === to.port ? place.to : to;
  }
}
