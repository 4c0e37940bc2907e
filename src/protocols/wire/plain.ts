// Wires in clear, on both sides: TCP over IPv4 and IPv6, and unix sockets. Sockets are the runtime's; how they are bound and
// connected is what the engine of the runtime does (a connect of the runtime's own cannot be given up). Called by listeners
// and pools.

import type { SocketHandler } from "bun";

import { bind } from "../../engine/bun/bind.ts";
import type { RelaySocket, SocketEvents } from "../../engine/bun/connection.ts";
import {
  Attempt,
  type AttemptSide,
  keepUrgentInline,
  type TargetAddress,
  toTargetAddress,
} from "../../engine/bun/dial.ts";
import { deferAccept } from "../../engine/bun/first-bytes.ts";
import { AHEAD } from "../../engine/bun/read-ahead.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import { IP_BYTES, parseIp } from "../../shared/ip.ts";
import type { SocketPlan } from "../../shared/plan.ts";
import type { Peer } from "../live-rows.ts";
import { IntroductionError, Introductions } from "./introductions.ts";
import type {
  Connected,
  Connecting,
  SetSocketOptions,
  WireConnectOptions,
  WireListenOptions,
  WireServer,
} from "./open.ts";
import { fdOf, PlainWire } from "./plain-wire.ts";

const UNIX_PEER: Peer = { ip: new Uint8Array(IP_BYTES), port: 0 };

/** `data` is unset on a socket that was turned away. */
const HANDLERS: SocketHandler<SocketEvents> = {
  data: (socket, chunk) => {
    socket.data?.receive(chunk);
    AHEAD.drain();
  },
  drain: (socket) => socket.data?.flush(),
  end: (socket) => socket.data?.receiveFin(),
  close: (socket, error) => socket.data?.close(error),
};

/** @throws ProxyError ERR_LISTEN */
export function listenPlain<Ticket>(options: WireListenOptions<Ticket>): WireServer {
  return listenSockets(options, HANDLERS, (socket, peer, ticket) => {
    const wire = new PlainWire(peer, options.watermarks);
    wire.socket = socket;
    socket.data = wire;
    wire.shorten();
    options.onWire(wire, ticket);
  });
}

export interface SocketServer extends WireServer {
  /** Other handlers than `own`, also for sockets that are there. Not after `close`. */
  handle(own: SocketHandler<SocketEvents>): void;
}

/**
 * For wires over such sockets, too.
 * @param own what becomes of events of sockets.
 * @param adopt a client was let in.
 * @throws ProxyError ERR_LISTEN
 */
export function listenSockets<Ticket>(
  options: WireListenOptions<Ticket>,
  own: SocketHandler<SocketEvents>,
  adopt: (socket: RelaySocket, peer: Peer, ticket: Ticket) => void,
): SocketServer {
  const { address, introduce = null } = options;
  const introductions = new Introductions();
  const begin = (socket: RelaySocket, peer: Peer, ticket: Ticket): void => {
    if (introduce === null) return adopt(socket, peer, ticket);
    introductions.begin(socket, fdOf(socket), introduce.of(ticket), (result) => {
      if (!(result instanceof IntroductionError)) return adopt(socket, result.peer, ticket);
      options.onRefused(ticket, result); // first, so that a client that was told finds it counted
      socket.terminate();
    });
  };
  const handlersWith = (events: SocketHandler<SocketEvents>): SocketHandler<SocketEvents> => ({
    ...events,
    open: (socket) => accept(socket, options, begin),
  });
  const bound = bind(address, options, handlersWith(own));
  if (address.kind === "ip") {
    options.setOptions(bound.fd, options.socket, "listener");
    keepUrgentInline(bound.fd); // accepted sockets inherit it
    if (introduce !== null) deferAccept(bound.fd, introduce.waitMs);
  }
  return {
    address: bound.address,
    close: () => bound.stop(),
    abort: () => introductions.abort(),
    handle: (events) => bound.reload(handlersWith(events)),
  };
}

function accept<Ticket>(
  socket: RelaySocket,
  options: WireListenOptions<Ticket>,
  adopt: (socket: RelaySocket, peer: Peer, ticket: Ticket) => void,
): void {
  const isUnix = options.address.kind === "unix";
  const peer = isUnix ? UNIX_PEER : peerOf(socket);
  // A client that has reset already has no address any more.
  const ticket = peer === null ? null : options.onAccept(peer, fdOf(socket));
  if (peer === null || ticket === null) {
    socket.terminate();
    return;
  }
  if (!isUnix) setAcceptedOptions(socket, options.socket, options.setOptions);
  adopt(socket, peer, ticket);
}

function peerOf(socket: RelaySocket): Peer | null {
  const ip = parseIp((socket.remoteAddress as string | undefined) ?? "");
  return ip === null ? null : { ip, port: socket.remotePort };
}

/** Linux's sockets inherit their listener's options, but the runtime turns TCP_NODELAY on, and quickack is not kept. */
function setAcceptedOptions(
  socket: RelaySocket,
  plan: SocketPlan,
  setOptions: SetSocketOptions,
): void {
  if (process.platform !== "linux") setRuntimeOptions(socket, plan, "accepted", setOptions);
  else if (plan.quickack) setOptions(fdOf(socket), { quickack: true }, "accepted");
  if (!plan.nodelay) socket.setNoDelay(false);
}

/** Options on a socket that the runtime made, through descriptors where it shows them and its own calls elsewhere. */
function setRuntimeOptions(
  socket: RelaySocket,
  plan: SocketPlan,
  role: "accepted" | "target",
  setOptions: SetSocketOptions,
): void {
  setOptions(fdOf(socket), { ...plan, fastopen: false }, role);
  if (plan.keepaliveSeconds > 0 && process.platform === "win32") {
    socket.setKeepAlive(true, plan.keepaliveSeconds * 1000);
  }
}

export function connectPlain(options: WireConnectOptions, done: Connected): Connecting {
  const wire = new PlainWire(peerAt(options.address), options.watermarks);
  wire.isTarget = true;
  return connectSocket(options, wire, (error) => {
    if (error !== null) return done(null, error);
    wire.shorten();
    done(wire, null);
  });
}

/** The other end of what connects to this address. */
export function peerAt(address: SocketAddress): Peer {
  return address.kind === "ip" ? { ip: parseIp(address.host)!, port: address.port } : UNIX_PEER;
}

/**
 * For wires over such sockets, too.
 * @param side has the socket once `done` says null, and its events.
 */
export function connectSocket(
  options: WireConnectOptions,
  side: AttemptSide,
  done: (error: (Error & { code: string }) | null) => void,
): Connecting {
  const { address, socket: plan, setOptions } = options;
  const isIp = address.kind === "ip";
  return Attempt.start(targetAddressOf(address), side, {
    created: (fd) => {
      if (!isIp) return;
      setOptions(fd, { ...plan, fastopen: false }, "target");
      keepUrgentInline(fd);
    },
    reached: () => {
      const socket = side.socket!;
      if (isIp && process.platform !== "linux") {
        setRuntimeOptions(socket, plan, "target", setOptions);
      }
      if (isIp && !plan.nodelay) socket.setNoDelay(false);
      done(null);
    },
    failed: (code) => {
      const message = `cannot connect to ${formatSocketAddress(address)}: ${code}`;
      done(Object.assign(new Error(message), { code }));
    },
  });
}

/** Pools connect to the same few addresses again and again. */
const TARGETS = new WeakMap<SocketAddress, TargetAddress>();

function targetAddressOf(address: SocketAddress): TargetAddress {
  let target = TARGETS.get(address);
  if (target === undefined) TARGETS.set(address, (target = toTargetAddress(address)));
  return target;
}
