// Connections of the admin listener that have asked something, and how much each asks at once. Invariant: those that are kept and
// ask nothing leave room for others, since the one that is idle longest goes; and what one connection can have answered at a
// time is bounded. Called by server.ts.

import type { Socket } from "node:net";

import { ADMIN } from "../../shared/limits.ts";

export class Visitors {
  /** Requests under way by connection. */
  readonly #underWay = new Map<Socket, number>();
  /** Those without any, the one that is idle longest first. */
  readonly #idle = new Set<Socket>();

  /** @returns false if it asks too much at once: then there is nobody to answer any more. */
  asked(socket: Socket): boolean {
    if (socket.destroyed) return false;
    const before = this.#underWay.get(socket);
    if (before === undefined) socket.once("close", () => this.#left(socket));
    const requests = (before ?? 0) + 1;
    if (requests > ADMIN.pipelinedMax) {
      socket.destroy();
      return false;
    }
    this.#idle.delete(socket);
    this.#underWay.set(socket, requests);
    return true;
  }

  answered(socket: Socket): void {
    const requests = (this.#underWay.get(socket) ?? 0) - 1;
    if (requests < 0) return; // it has left
    this.#underWay.set(socket, requests);
    if (requests > 0) return;
    this.#idle.add(socket);
    if (this.#idle.size > ADMIN.idleMax) this.#letGo(this.#idle.values().next().value!);
  }

  #letGo(socket: Socket): void {
    this.#left(socket);
    socket.destroy();
  }

  #left(socket: Socket): void {
    this.#underWay.delete(socket);
    this.#idle.delete(socket);
  }
}
