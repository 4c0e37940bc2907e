// The system calls of the load generators and of the echo backend, blocking and through epoll, Linux only. They
// share no code with src: what measures must not change with what is measured. Called by bench/load only.

import { dlopen, type FFIFunction, ptr, read } from "bun:ffi";

const libraries = [
  `libc.so.6`,
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
];

// size_t and ssize_t are declared as 32 bits: no size here is larger, and 64-bit results cost a conversion.
const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  send: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u32", "i32", "ptr", "u32"], returns: "i32" },
  recvfrom: { args: ["i32", "ptr", "u32", "i32", "ptr", "ptr"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  clock_getcpuclockid: { args: ["i32", "ptr"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  sched_getaffinity: { args: ["i32", "u32", "ptr"], returns: "i32" },
  sched_setaffinity: { args: ["i32", "u32", "ptr"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

// int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents, const struct timespec *timeout,
//                  const sigset_t *sigmask); int prctl(int option, ...) of longs
const PRECISE_SYMBOLS = {
  epoll_pwait2: { args: ["i32", "ptr", "i32", "ptr", "ptr"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
} as const;

function open<T extends Record<string, FFIFunction>>(symbols: T, needs: string) {
  let failure: unknown;
  for (const name of libraries) {
    try {
      return dlopen(name, symbols).symbols;
    } catch (error) {
      failure = error;
    }
  }
  throw new Error(`the load generators need ${needs}`, { cause: failure });
}

export const libc = open(SYMBOLS, "Linux with glibc or musl");

/** Waiting for parts of a millisecond; apart from the others because older libraries lack it. */
export function openPrecise() {
  return open(PRECISE_SYMBOLS, "Linux 5.11 and glibc 2.35 or later for waits below a millisecond");
}

export const EINTR = 4;
export const EAGAIN = 11;
export const EINPROGRESS = 115;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const LISTEN_BACKLOG = 4096; // somaxconn's default: a burst of 512 connections must not be dropped

/** Of sockets of datagrams: what is lost must be lost in the relay, as far as the system allows. */
const DATAGRAM_BUFFER_BYTES = 4 * 1024 * 1024;

const one = new Int32Array([1]);

export function errno(): number {
  return read.i32(libc.__errno_location()!, 0);
}

export function fail(call: string): never {
  throw new Error(`${call}: errno ${errno()}`);
}

/** struct sockaddr_in for 127.0.0.1 (ip(7)): family in host order, port in network order. */
function loopback(port: number): Uint8Array {
  const address = new Uint8Array(16);
  address[0] = AF_INET;
  address[2] = port >>> 8;
  address[3] = port & 0xff;
  address.set([127, 0, 0, 1], 4);
  return address;
}

/** Connects to 127.0.0.1 and waits. @returns a blocking descriptor with TCP_NODELAY. */
export function connectBlocking(port: number): number {
  const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (libc.connect(fd, loopback(port), 16) < 0) fail("connect");
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one, 4);
  return fd;
}

/** Begins to connect to 127.0.0.1. @returns a non-blocking descriptor, writable once it is connected. */
export function connectBegin(port: number): number {
  const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  if (libc.connect(fd, loopback(port), 16) < 0 && errno() !== EINPROGRESS) fail("connect");
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one, 4);
  return fd;
}

/** Listens on a free port of 127.0.0.1. @returns a non-blocking descriptor and the port. */
export function listenLoopback(): { fd: number; port: number } {
  const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4);
  if (libc.bind(fd, loopback(0), 16) < 0) fail("bind");
  if (libc.listen(fd, LISTEN_BACKLOG) < 0) fail("listen");
  return { fd, port: localPort(fd) };
}

function localPort(fd: number): number {
  const address = new Uint8Array(16);
  if (libc.getsockname(fd, address, new Uint32Array([16])) < 0) fail("getsockname");
  return portOf(address);
}

/** Of a struct sockaddr_in. */
export function portOf(address: Uint8Array): number {
  return (address[2]! << 8) | address[3]!;
}

function datagramSocket(): number {
  const fd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  const bytes = new Int32Array([DATAGRAM_BUFFER_BYTES]);
  if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes, 4) < 0) {
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, bytes, 4);
  }
  return fd;
}

/** @returns a blocking socket of datagrams on a free port of 127.0.0.1, and the port. */
export function bindDatagrams(): { fd: number; port: number } {
  const fd = datagramSocket();
  if (libc.bind(fd, loopback(0), 16) < 0) fail("bind");
  return { fd, port: localPort(fd) };
}

/** @returns a blocking socket of datagrams that sends to, and receives from, a port of 127.0.0.1. */
export function connectDatagrams(port: number): number {
  const fd = datagramSocket();
  if (libc.connect(fd, loopback(port), 16) < 0) fail("connect");
  return fd;
}

/** @returns a non-blocking descriptor with TCP_NODELAY, or -1 when no connection waits. */
export function accept(listener: number): number {
  const fd = libc.accept4(listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one, 4);
  else if (errno() !== EAGAIN && errno() !== EINTR) fail("accept4");
  return fd;
}

/** Sends all of `bytes` on a blocking descriptor. */
export function sendAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    const sent = libc.send(fd, ptr(bytes, at), bytes.length - at, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    at += sent;
  }
}

/** Fills `bytes` from a blocking descriptor. @throws if the connection ends first: a relay lost bytes. */
export function recvAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    const got = libc.recv(fd, ptr(bytes, at), bytes.length - at, 0);
    if (got < 0) fail("recv");
    if (got === 0) throw new Error(`the connection ended after ${at} of ${bytes.length} bytes`);
    at += got;
  }
}
