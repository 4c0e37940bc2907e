// Two connected descriptors that someone else opened, relayed as one connection. Already duplicated when they come here;
// the runtime's sockets own the duplicates. Created by engine.ts.

import { libc } from "../../ffi/libc.ts";
import { ProxyError, toErrorRecord } from "../../shared/errors.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { EngineHost } from "../engine.ts";
import { type Connection, type ConnectionOwner, RELAY_HANDLERS, type Side } from "./connection.ts";
import { connectFd, keepUrgentInline } from "./dial.ts";

export interface PairEngine {
  readonly host: EngineHost;
  readonly live: LiveTable;
  removeConnection(connection: Connection): void;
}

export class AdoptedPair implements ConnectionOwner {
  readonly live: LiveTable;
  readonly counters = null;
  readonly idleMs: number;
  readonly lifetimeMs = 0;
  readonly pace = null;
  readonly fastopen = false;
  readonly #engine: PairEngine;
  readonly #id: number;

  constructor(engine: PairEngine, id: number, idleMs: number) {
    this.#engine = engine;
    this.live = engine.live;
    this.#id = id;
    this.idleMs = idleMs;
  }

  /** The runtime opens a descriptor at once, before it can yield any byte of it. */
  start(connection: Connection, fds: readonly [number, number]): void {
    connection.connected = true;
    this.#take(connection.client, fds[0]);
    this.#take(connection.target, fds[1]);
  }

  #take(side: Side, fd: number): void {
    if (side.connection.over) {
      libc.close(fd);
      return;
    }
    keepUrgentInline(fd); // refused on a unix socket, which has no urgent data
    const handlers = {
      ...RELAY_HANDLERS,
      open: (socket: NonNullable<Side["socket"]>): void => {
        side.socket = socket;
      },
    };
    connectFd(fd, side, handlers).catch(() => {
      if (side.socket === null) libc.close(fd);
      side.connection.abort("EBADF");
    });
    if (side.socket === null) side.connection.abort("EBADF");
  }

  ended(connection: Connection, reason: string): void {
    const { live } = this;
    const error =
      reason === "end"
        ? null
        : toErrorRecord(new ProxyError("ERR_RESET", `the pair was reset: ${reason}`));
    this.#engine.host.emit({
      type: "pair_closed",
      id: this.#id,
      bytesUp: live.bytesUp[connection.row]!,
      bytesDown: live.bytesDown[connection.row]!,
      error,
    });
    this.#engine.removeConnection(connection);
  }
}
