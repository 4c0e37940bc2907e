// One attempt to reach one address of a target. On Linux the socket is made and connected by system calls and handed to
// the runtime, because a connect of the runtime's own can neither be cancelled (its descriptor stays until the kernel gives
// up, two minutes for a host that does not answer) nor reports EMFILE as such. Called by dialing.ts.
//
// Invariant: `reached` or `failed` is called once, unless the attempt is cancelled before.

import type { FdSocketOptions, SocketHandler } from "bun";

import { EINPROGRESS, errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  POLLOUT,
  SO_LINGER,
  SO_OOBINLINE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../ffi/linux.ts";
import { addressOf, pinnedInt32 } from "../../ffi/memory.ts";
import { encodeSockaddr, liveFamily, portOf, type Sockaddr } from "../../ffi/sockaddr.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import { errnoOf } from "../../shared/errors.ts";
import { RELAY_HANDLERS, type RelaySocket, type SocketEvents } from "./connection.ts";
import { AHEAD } from "./read-ahead.ts";

/** A target's address in every form that a connection needs, made once. */
export interface TargetAddress {
  readonly address: SocketAddress;
  readonly sockaddr: Sockaddr;
  readonly text: string;
  /** For the table of live connections. */
  readonly family: number;
  readonly port: number;
  readonly bytes: Uint8Array;
}

export function toTargetAddress(address: SocketAddress): TargetAddress {
  const sockaddr = encodeSockaddr(address);
  const { family, offset } = liveFamily(sockaddr.bytes);
  return {
    address,
    sockaddr,
    text: formatSocketAddress(address),
    family,
    port: address.kind === "ip" ? portOf(sockaddr.bytes) : 0,
    bytes: sockaddr.bytes.subarray(offset),
  };
}

export interface AttemptEvents {
  /** `side` has the socket, and receives its events from now on. */
  reached(): void;
  failed(errno: string): void;
  /** Before connect(2), where buffer sizes still shape the handshake; on Linux only. */
  created(fd: number): void;
}

/** Whom the socket is for. */
export interface AttemptSide extends SocketEvents {
  socket: RelaySocket | null;
}

/** Stands in for the side as the socket's `data` until the target is reached. */
export class Attempt implements SocketEvents {
  readonly #side: AttemptSide;
  readonly #events: AttemptEvents;
  #socket: RelaySocket | null = null;
  #settled = false;

  private constructor(side: AttemptSide, events: AttemptEvents) {
    this.#side = side;
    this.#events = events;
  }

  static start(
    target: TargetAddress,
    side: AttemptSide,
    events: AttemptEvents,
    byDescriptor: boolean = process.platform === "linux",
  ): Attempt {
    const attempt = new Attempt(side, events);
    if (byDescriptor) attempt.#connectDescriptor(target.sockaddr);
    else attempt.#connectRuntime(target.address);
    return attempt;
  }

  /** No event follows. The socket is closed; without system calls, as soon as the runtime yields it. */
  cancel(): void {
    this.#settled = true;
    const socket = this.#socket;
    this.#socket = null;
    socket?.terminate();
  }

  #connectDescriptor({ family, bytes }: Sockaddr): void {
    const fd = libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return this.#failSoon(errnoName(errno()));
    this.#events.created(fd);
    if (libc.connect(fd, bytes, bytes.length) < 0) {
      const code = errno();
      if (code !== EINPROGRESS) {
        libc.close(fd);
        return this.#failSoon(errnoName(code));
      }
    }
    connectFd(fd, this, DESCRIPTOR_HANDLERS).catch((error: unknown) => this.failed(errnoOf(error)));
  }

  #connectRuntime(address: SocketAddress): void {
    const common = { allowHalfOpen: true, data: this as SocketEvents, socket: CONNECT_HANDLERS };
    const connecting =
      address.kind === "unix"
        ? Bun.connect({ ...common, unix: address.path })
        : Bun.connect({ ...common, hostname: address.host, port: address.port });
    connecting.catch((error: unknown) => this.failed(errnoOf(error)));
  }

  /** A descriptor opens at once, still connecting; the runtime's own connect opens when it is connected. */
  opened(socket: RelaySocket, connected: boolean): void {
    if (this.#settled) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    if (connected) this.#reached();
  }

  #reached(): void {
    if (this.#settled || this.#socket === null) return;
    this.#settled = true;
    this.#socket.data = this.#side;
    this.#side.socket = this.#socket;
    this.#events.reached();
  }

  failed(code: string): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#events.failed(code);
  }

  /** Writable is what connect(2) says a socket becomes when it is connected. */
  flush(): void {
    this.#reached();
  }

  receive(chunk: Uint8Array): void {
    this.#reached();
    this.#side.receive(chunk);
  }

  receiveFin(): void {
    this.#reached();
    this.#side.receiveFin();
  }

  close(error: Error | undefined): void {
    this.#socket = null; // gone: `cancel` has nothing to close
    this.failed(error === undefined ? "ECONNRESET" : errnoOf(error));
  }

  /** `failed` never comes within `start`, so that a caller finishes its own step first. */
  #failSoon(code: string): void {
    queueMicrotask(() => this.failed(code));
  }
}

const CONNECT_HANDLERS: SocketHandler<SocketEvents> = {
  ...RELAY_HANDLERS,
  open: (socket) => (socket.data as Attempt).opened(socket, true),
  connectError: () => {}, // the promise rejects with the same error
};

const DESCRIPTOR_HANDLERS: SocketHandler<SocketEvents> = {
  ...RELAY_HANDLERS,
  data: (socket, chunk) => {
    socket.data?.receive(chunk);
    AHEAD.drain();
  },
  open: (socket) => (socket.data as Attempt).opened(socket, false),
};

const ON = pinnedInt32(1).fill(1);
const ON_ADDRESS = addressOf(ON);

/** TCP's urgent byte (tcp(7), SO_OOBINLINE) arrives in line, so that it is not lost; its mark is not passed on. */
export function keepUrgentInline(fd: number): void {
  if (process.platform !== "linux" || fd < 0) return;
  libc.setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, ON_ADDRESS, ON.byteLength);
}

const RESET = pinnedInt32(2);
RESET[0] = 1;
const RESET_ADDRESS = addressOf(RESET);

/** Closing the socket sends RST (socket(7), SO_LINGER of no seconds): over TLS the runtime's `terminate` sends FIN. */
export function resetAtClose(fd: number): void {
  if (process.platform !== "linux" || fd < 0) return;
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, RESET_ADDRESS, RESET.byteLength);
}

/** struct pollfd { int fd; short events; short revents; } */
const POLL = pinnedInt32(2);
const POLL_ADDRESS = addressOf(POLL);

/** Whether the socket takes some bytes at this moment (poll(2)). Where there are no system calls, it is hoped. */
export function takesBytes(fd: number): boolean {
  if (process.platform !== "linux" || fd < 0) return true;
  POLL[0] = fd;
  POLL[1] = POLLOUT;
  return libc.poll(POLL_ADDRESS, 1, 0) !== 0;
}

type ConnectFd = (options: FdSocketOptions<SocketEvents>) => Promise<RelaySocket>;

/** Hands a descriptor to the runtime, which owns it from then on. The typings leave `fd` out of Bun.connect's overloads. */
export function connectFd(
  fd: number,
  data: SocketEvents,
  socket: SocketHandler<SocketEvents>,
): Promise<RelaySocket> {
  const connect = Bun.connect as unknown as ConnectFd;
  return connect({ fd, allowHalfOpen: true, data, socket });
}
