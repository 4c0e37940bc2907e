// Listening sockets that this process was started with: its predecessor's, at an upgrade, or the service manager's (socket
// activation, sd_listen_fds(3)). A listener gets those that are bound where it would bind, whatever their order; what no
// listener wants is closed. Called by the proxy while it starts.

import { closeSync, existsSync, fstatSync } from "node:fs";

import {
  canBindBeside,
  closeOnExec,
  datagramAddress,
  isBoundTo,
  listeningAddress,
  shareAddress,
} from "../ffi/inherited.ts";
import { formatSocketAddress, type SocketAddress } from "../shared/address.ts";
import { CONTROL } from "../shared/limits.ts";
import { type Log, silentLog } from "../shared/log.ts";
import type { ListeningSocket } from "../shared/messages.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { covers } from "./listen-places.ts";
import type { HandedWish, HandedWishes } from "./target-wishes.ts";

export interface InheritedSocket {
  readonly fd: number;
  /** ListenerPlan.key of the predecessor's listener, which tells apart listeners on port 0; empty: not known. */
  readonly key: string;
  /** What it is called, for the log. */
  readonly name: string;
  /** The index of the worker that has it; null: it came from another process. */
  readonly worker: number | null;
}

/** A listening socket of this process. */
export interface HeldSocket extends ListeningSocket {
  readonly worker: number;
}

/** What one listener inherits. */
export interface Share {
  /** For each address that it binds, the descriptors that are bound there already. */
  readonly fds: readonly (readonly number[])[];
  /** They cannot be bound a second time: workers have to share them. */
  readonly once: boolean;
  /** See OpenRequest. */
  readonly beside: boolean;
  /** By descriptor: the worker that has it already. */
  readonly holders: ReadonlyMap<number, number>;
}

export class Inheritance {
  /** Nobody else is to notice if the start fails: no client is accepted before it has succeeded. */
  readonly quiet: boolean;
  /** Who is replaced is another process. */
  readonly fromProcess: boolean;
  readonly #wishes: ReadonlyMap<string, readonly HandedWish[]>;
  readonly #sockets: readonly InheritedSocket[];
  readonly #taken = new Set<number>();
  /** A socket was made way for that takes a part of another's clients. */
  #narrows = false;
  #closed = false;

  constructor(
    sockets: readonly InheritedSocket[] = [],
    quiet = false,
    fromProcess = quiet,
    wishes: HandedWishes = [],
  ) {
    this.#sockets = sockets;
    this.#wishes = new Map(wishes);
    this.quiet = quiet;
    this.fromProcess = fromProcess;
    for (const { fd } of sockets) closeOnExec(fd);
  }

  /**
   * Of listeners of this process that others are to replace.
   * @param sockets duplicates of all that there are, several of one among them. They are its own from here on.
   */
  static within(
    sockets: readonly HeldSocket[],
    leaving: readonly Pick<ListenerPlan, "key">[],
  ): Inheritance {
    const kept = new Map<bigint, InheritedSocket>();
    for (const { key, fd, worker } of sockets) {
      const { ino } = fstatSync(fd, { bigint: true });
      if (kept.has(ino) || leaving.every((listener) => listener.key !== key)) closeSync(fd);
      else kept.set(ino, { fd, key, name: key, worker });
    }
    return new Inheritance([...kept.values()], true, false);
  }

  /** What operators want of this listener's targets. */
  wishesOf(key: string): readonly HandedWish[] {
    return this.#wishes.get(key) ?? [];
  }

  /** Descriptors that listeners have taken. */
  get taken(): readonly number[] {
    return [...this.#taken];
  }

  /**
   * Nobody else gets what is taken. @param binds where the listener of this key would bind. @param isUdp whether it is one
   * of UDP.
   */
  take(key: string, binds: readonly SocketAddress[], isUdp: boolean): Share {
    const beside = !isUdp && binds.filter((bind) => this.#makeWay(bind)).length > 0;
    const fds = binds.map((bind) => this.#takeOn(key, bind, isUdp));
    const holders = this.#sockets.flatMap(({ fd, worker }): [number, number][] =>
      worker === null ? [] : [[fd, worker]],
    );
    const once = fds.flat().some((fd) => !canBindBeside(fd));
    return { fds, once, beside, holders: new Map(holders) };
  }

  /** Sockets of ours that have the port of `bind` on another address are to let it be bound. @returns false: there are none. */
  #makeWay(bind: SocketAddress): boolean {
    let found = false;
    for (const { fd, key } of this.#closed ? [] : this.#sockets) {
      const address = key === "" ? null : listeningAddress(fd);
      if (address === null || isBoundTo(fd, bind)) continue;
      const isWider = covers(address, bind);
      if (!isWider && !covers(bind, address)) continue;
      // Of two wildcards of IPv6 the kernel would go on giving its clients to the one that was there first.
      if (isWider && bind.kind === "ip" && bind.host === "::") continue;
      shareAddress(fd);
      this.#narrows ||= isWider;
      found = true;
    }
    return found;
  }

  /**
   * Where a wildcard gives way to a narrower address: handshakes that had begun when that was bound end at the wildcard, which
   * is not to be closed before they have.
   */
  async handshakes(): Promise<void> {
    if (this.#narrows) await Bun.sleep(CONTROL.narrowMs);
  }

  #takeOn(key: string, bind: SocketAddress, isUdp: boolean): number[] {
    // A socket whose file is gone listens where nobody finds it.
    if (this.#closed || (bind.kind === "unix" && !existsSync(bind.path))) return [];
    const anyPort = bind.kind === "ip" && bind.port === 0;
    const found = this.#sockets
      .filter((socket) => !this.#taken.has(socket.fd) && (!anyPort || socket.key === key))
      .filter((socket) => {
        if (!isUdp) return servesStreams(socket, bind);
        return servesDatagrams(socket.fd, bind, socket.key === key || socket.key === "");
      })
      .map(({ fd }) => fd);
    for (const fd of found) this.#taken.add(fd);
    return found;
  }

  [Symbol.dispose](): void {
    this.close(silentLog);
  }

  /** The workers have duplicates of what was taken; the rest is of no use to anybody. */
  close(log: Log): void {
    if (this.#closed) return;
    this.#closed = true;
    const left = this.#sockets.filter(({ fd }) => !this.#taken.has(fd)).map(describe);
    // Each worker of a predecessor had one of its own.
    for (const alike of Map.groupBy(left, (each) => JSON.stringify(each)).values()) {
      const several = alike.length > 1 ? { sockets: alike.length } : {};
      log.warn({ ...alike[0], ...several }, "an inherited socket fits no listener and is closed");
    }
    for (const { fd } of this.#sockets) closeSync(fd);
  }
}

/** For the log. */
function describe({ fd, key, name }: InheritedSocket): object {
  const address = listeningAddress(fd) ?? datagramAddress(fd);
  const what =
    address === null
      ? "neither a listening stream socket nor one of UDP"
      : formatSocketAddress(address);
  return { name, address: what, ...(key === "" ? {} : { listener: key }) };
}

/** One of ours that a wildcard covers goes on: the kernel gives it its clients, and closing it would reset who waits there. */
function servesStreams({ fd, key }: InheritedSocket, bind: SocketAddress): boolean {
  const address = listeningAddress(fd);
  if (address === null) return false;
  return isBoundTo(fd, bind) || (key !== "" && covers(bind, address));
}

/** @param isOwn whether it may be one of those that a UDP listener has for each address of the machine, beside a wildcard. */
function servesDatagrams(fd: number, bind: SocketAddress, isOwn: boolean): boolean {
  const address = datagramAddress(fd);
  if (address?.kind !== "ip" || bind.kind !== "ip") return false;
  if (isBoundTo(fd, bind)) return true;
  const isV6 = address.host.includes(":");
  const covered = { "": true, "0.0.0.0": !isV6, "::": isV6 }[bind.host] ?? false;
  return isOwn && covered && (bind.port === 0 || bind.port === address.port);
}

/**
 * What one of the workers that open a listener takes of what it inherits: a socket stays with the worker that has it, whose
 * clients are known there, but the first takes some of everything there is.
 * @param workers by index, in the order in which they open it.
 */
export function portionOf(
  { fds, once, holders }: Share,
  position: number,
  workers: readonly number[],
): (readonly number[])[] {
  if (once) return position === 0 ? [...fds] : [];
  const placeOf = (fd: number, i: number): number => {
    const held = workers.indexOf(holders.get(fd) ?? -1);
    return held >= 0 ? held : i % workers.length;
  };
  return fds.map((all) => {
    const places = all.map(placeOf);
    if (!places.includes(0)) places[0] = 0;
    return all.filter((_, i) => places[i] === position);
  });
}
