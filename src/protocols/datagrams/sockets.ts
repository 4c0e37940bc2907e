// The sockets of a listener of datagrams in this worker: bound by itself, beside those of other workers, or inherited from the
// process that it replaces, in which case nothing is read before `accept`. Called by the listener of udp.
//
// Invariant: a descriptor that waits is this one's own. A socket that was handed on is read by nobody here, and what its owner
// still has to answer leaves through a sender in its place.

import { closeSync } from "node:fs";

import type { udp } from "bun";

import type { SocketAddress } from "../../shared/address.ts";
import type { CounterWriter } from "../../shared/counters.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { UDP } from "../../shared/limits.ts";
import type { BindRequest } from "../../shared/messages.ts";
import type { BufferSizesPlan } from "../../shared/plan.ts";
import { Warnings } from "../../shared/warnings.ts";
import type { GatewayHost, ListenerSockets, PacketSender } from "../host.ts";
import {
  type Adopt,
  bindAll,
  bindBeside,
  bindEach,
  type Handlers,
  machineAddresses,
  sharesPort,
  takeOver,
} from "./bind.ts";
import { type Backlog, Flusher, Outbox } from "./outbox.ts";

/** One socket that clients send to. */
export interface LocalSocket<Clients> {
  /** A numeric address; empty: the wildcard of both families, or of IPv4 where there is no IPv6. */
  readonly host: string;
  /** What goes out through it. */
  readonly outbox: Outbox;
  /** What its owner knows of those who send to it. */
  readonly clients: Clients;
  /** Datagrams that were lost at it and are counted. */
  lost: number;
  /** null until it is bound, and when it is another process's to read. */
  socket: udp.Socket<"buffer"> | null;
  /** What answers leave through then. */
  sender: PacketSender | null;
  /** The sender's own; -1 without one. */
  fd: number;
}

export type DatagramRequest = BindRequest & {
  readonly listener: { readonly key: string; readonly socket: BufferSizesPlan };
};

export interface DatagramEvents<Clients> {
  /** For a socket that is about to be bound. */
  noClients(): Clients;
  received(local: LocalSocket<Clients>, data: Uint8Array, port: number, address: string): void;
  /** From here on `local` is read in place of `before`, of a listener that is replaced: those who sent to that send to this. */
  succeeded(local: LocalSocket<Clients>, before: LocalSocket<Clients>): void;
}

export class DatagramSockets<Clients> implements ListenerSockets {
  readonly flusher = new Flusher();
  readonly backlog: Backlog;
  readonly #host: GatewayHost;
  readonly #request: DatagramRequest;
  readonly #counters: CounterWriter;
  readonly #events: DatagramEvents<Clients>;
  readonly #warnings: Warnings;
  readonly #adopt: Adopt = (host, make) => this.#adoptSocket(host, make);
  #locals: LocalSocket<Clients>[] = [];
  /** Sockets that are another process's to read until `accept`, and the addresses that they and others beside them serve. */
  #waiting: { bound: readonly SocketAddress[]; fds: readonly number[] } | undefined;
  /** Of listeners of this worker that are replaced. */
  #before: DatagramSockets<Clients>[] = [];
  #rescan: ReturnType<typeof setInterval> | undefined;
  #draining = false;
  #closed = false;

  /** @param backlog of the worker. */
  constructor(
    host: GatewayHost,
    request: DatagramRequest,
    backlog: Backlog,
    counters: CounterWriter,
    events: DatagramEvents<Clients>,
  ) {
    this.backlog = backlog;
    this.#host = host;
    this.#request = request;
    this.#counters = counters;
    this.#events = events;
    this.#warnings = new Warnings(request.listener.key, (event) => host.emit(event));
  }

  get locals(): readonly LocalSocket<Clients>[] {
    return this.#locals;
  }

  get lingers(): boolean {
    return this.#draining && this.#locals.some(({ socket }) => socket !== null);
  }

  async open(): Promise<SocketAddress[]> {
    const { inherited, quiet, exclusive } = this.#request;
    // Sockets beside those of the process that is being replaced would take a part of its clients.
    const waits = inherited.flat().length > 0 || (quiet && !exclusive);
    const bound = waits ? this.#inherit() : await bindAll(this.#request, this.#adopt);
    if (!waits) this.#watchAddresses(bound);
    else if (!quiet) await this.#take();
    return bound;
  }

  /** Notes what there is to take, and where it is bound. */
  #inherit(): SocketAddress[] {
    const { binds, inherited } = this.#request;
    const bound = binds.map((bind, i): SocketAddress => {
      const [first] = inherited[i] ?? [];
      const port = first === undefined ? 0 : portOf(this.#host.addressOf(first));
      return bind.kind === "ip" && port > 0 ? { ...bind, port } : bind;
    });
    const fds = inherited.flat().map((fd) => this.#host.duplicate(fd));
    this.#waiting = { bound, fds };
    return bound;
  }

  async accept(): Promise<readonly string[]> {
    try {
      await this.#take();
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  }

  /** Reads from what was inherited, and binds what is missing beside it. @throws ProxyError ERR_LISTEN */
  async #take(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    const { bound, fds } = waiting;
    const before = this.#before.splice(0).flatMap((sockets) => sockets.#read());
    for (const fd of fds) {
      const address = this.#host.addressOf(fd);
      const host = address.kind === "ip" ? address.host : "";
      // Where there is no IPv6, the wildcard is of IPv4, and stands for all the same.
      const wildcard = host === "0.0.0.0" && bound.some((each) => hostOf(each) === "");
      const local = await this.#adoptSocket(wildcard ? "" : host, (handlers) =>
        takeOver(fd, handlers),
      );
      const reader = before.find(({ local: old }) => isSameAddress(old, local));
      if (reader === undefined) continue;
      reader.handOn();
      this.#events.succeeded(local, reader.local);
    }
    for (const address of bound) {
      const ofPort = this.#locals.filter(({ socket }) => socket?.port === portOf(address));
      const hosts = ofPort.map((local) => local.host);
      await bindBeside(address, hosts, this.#adopt);
    }
    this.#watchAddresses(bound);
  }

  duplicates(): readonly number[] {
    const open = this.#locals.map(({ socket, fd }) => (socket === null ? fd : fdOf(socket)));
    return open.filter((fd) => fd >= 0).map((fd) => this.#host.duplicate(fd));
  }

  /** In the same turn of the event loop as these give up a socket, those begin to read it: no datagram goes to both. */
  follow(before: ListenerSockets): void {
    // What has a listener of datagrams before it is one of datagrams: all of them keep the same of their clients.
    if (before instanceof DatagramSockets) this.#before.push(before);
  }

  /** What is read here, with what ends that. */
  #read(): { local: LocalSocket<Clients>; handOn: () => void }[] {
    const read = this.#locals.filter(({ socket }) => socket !== null);
    return read.map((local) => ({ local, handOn: () => this.#handOn(local) }));
  }

  /** What waits in the sockets is the successor's; answers still leave through them. */
  handOn(): void {
    for (const local of this.#locals) this.#handOn(local);
  }

  #handOn(local: LocalSocket<Clients>): void {
    if (local.socket === null) return;
    this.#countLost(local, local.socket);
    local.fd = this.#host.duplicate(fdOf(local.socket));
    const sender = this.#host.senderOf(local.fd);
    local.outbox.flush();
    local.socket.close();
    local.socket = null;
    local.sender = sender;
    local.outbox.attach(sender);
  }

  /** Binds no more; the sockets that are there stay until `close`. */
  drain(): void {
    this.#draining = true;
    clearInterval(this.#rescan);
  }

  close(): void {
    this.#closed = true;
    this.drain();
    this.countLost();
    for (const { socket, sender, outbox } of this.#locals) {
      outbox.flush();
      outbox.close();
      socket?.close();
      sender?.close();
    }
    this.#locals = [];
    this.#waiting?.fds.forEach((fd) => closeSync(fd));
    this.#waiting = undefined;
  }

  async #adoptSocket(
    host: string,
    make: (handlers: Handlers) => Promise<udp.Socket<"buffer">>,
  ): Promise<LocalSocket<Clients>> {
    const outbox = new Outbox(false, this.flusher, this.backlog, {
      dropped: (reason, errno) => {
        this.#counters.dropped(reason);
        if (errno !== "") this.#counters.error(errno);
      },
    });
    const clients = this.#events.noClients();
    const local: LocalSocket<Clients> = {
      host,
      outbox,
      clients,
      lost: 0,
      socket: null,
      sender: null,
      fd: -1,
    };
    const socket = await make({
      data: (_socket, data, port, address) => this.#events.received(local, data, port, address),
      drain: () => outbox.resume(),
      // A client that is gone before its answer comes; another's next datagram is not the worse for it.
      error: (...args: unknown[]) => this.#counters.error(errnoOf(errorIn(args))),
    });
    if (this.#closed) {
      socket.close();
      throw new ProxyError("ERR_CLOSED", "the listener was closed");
    }
    const fd = fdOf(socket);
    local.socket = socket;
    local.lost = this.#host.lostDatagrams(fd); // of the process that had it before
    this.#locals.push(local);
    this.#setBuffers(fd, UDP.receiveBufferBytes);
    outbox.attach(socket);
    return local;
  }

  /** As the listener asks for them, on a socket towards a target. */
  setBuffers(fd: number): void {
    this.#setBuffers(fd, null);
  }

  /** @param fallback of what is received, if nothing is asked for. */
  #setBuffers(fd: number, fallback: number | null): void {
    const { sendBufferBytes, receiveBufferBytes: asked } = this.#request.listener.socket;
    const receiveBufferBytes = asked ?? fallback;
    if (sendBufferBytes === null && receiveBufferBytes === null) return;
    this.#warnings.add(this.#host.setBuffers(fd, { sendBufferBytes, receiveBufferBytes }));
  }

  /** Counts what was lost since the last time. */
  countLost(): void {
    for (const local of this.#locals) {
      if (local.socket !== null) this.#countLost(local, local.socket);
    }
  }

  #countLost(local: LocalSocket<Clients>, socket: udp.Socket<"buffer">): void {
    const lost = this.#host.lostDatagrams(fdOf(socket));
    if (lost > local.lost) this.#counters.dropped("receive_full", lost - local.lost);
    local.lost = lost;
  }

  /** The machine's addresses come and go. */
  #watchAddresses(bound: readonly SocketAddress[]): void {
    const wildcards = bound.filter((address) => address.kind === "ip" && sharesPort(address.host));
    if (wildcards.length === 0 || this.#closed) return;
    this.#rescan = setInterval(() => {
      for (const wildcard of wildcards) {
        if (wildcard.kind === "ip") void this.#followAddresses(wildcard.host, wildcard.port);
      }
    }, UDP.rescanMs);
    this.#rescan.unref();
  }

  async #followAddresses(wildcard: string, port: number): Promise<void> {
    const held = this.#locals.map((local) => local.host);
    const fresh = machineAddresses(wildcard).filter((host) => !held.includes(host));
    try {
      await bindEach(fresh, port, this.#adopt);
    } catch (error) {
      if (!this.#closed) throw error;
    }
  }
}

/** The runtime gives the error alone; its documentation says that the socket comes before it. */
export function errorIn(args: readonly unknown[]): unknown {
  return args.find((each) => each instanceof Error);
}

/** The typings leave it out. */
export function fdOf(socket: object): number {
  return (socket as { fd?: number }).fd ?? -1;
}

function isSameAddress(one: LocalSocket<unknown>, other: LocalSocket<unknown>): boolean {
  return one.host === other.host && one.socket?.port === other.socket?.port;
}

function portOf(address: SocketAddress): number {
  return address.kind === "ip" ? address.port : 0;
}

function hostOf(address: SocketAddress): string {
  return address.kind === "ip" ? address.host : "";
}
