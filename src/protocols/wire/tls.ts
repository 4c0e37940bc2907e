// Wires over TLS, on both sides: a socket as plain.ts makes them, which the runtime upgrades. Its streams of node:tls are not in
// between, so a message costs no more than decrypting it; certificates are chosen at each handshake.
//
//   accepted, or connected ── upgrade ──▶ Handshake ── done, verified ──▶ TlsWire
//                                             └── failed, timed out, peer left: refused
//
// Invariant: a Handshake is told to its owner once, as a wire or as an error, unless it was cancelled.

import type { SocketHandler } from "bun";

import type { RelaySocket, SocketEvents } from "../../engine/bun/connection.ts";
import { type AttemptSide, resetAtClose } from "../../engine/bun/dial.ts";
import { AHEAD } from "../../engine/bun/read-ahead.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { Sweep } from "../../shared/sweep.ts";
import type { Peer } from "../live-rows.ts";
import type { Waiter, WantedNames } from "../wanted-names.ts";
import type {
  Connected,
  Connecting,
  WireConnectOptions,
  WireListenOptions,
  WireServer,
} from "./open.ts";
import { fdOf } from "./plain-wire.ts";
import { connectSocket, listenSockets, peerAt } from "./plain.ts";
import {
  type Checks,
  ClientChecks,
  decodeProtocols,
  LATER,
  ServerChecks,
  type TlsChallenges,
} from "./tls-checks.ts";
import type { ClientTls, NativeContext, ServerTls } from "./tls-context.ts";
import { StreamTail } from "./tls-end.ts";
import {
  departure,
  type HandshakeError,
  handshakeError,
  handshakeTimeout,
  TlsError,
} from "./tls-error.ts";
import { HelloBytes, Tap } from "./tls-tap.ts";
import { describe, type TlsSocket, TlsWire } from "./tls-wire.ts";
import type { Watermarks, Wire } from "./wire.ts";

export interface TlsListenOptions<Ticket> extends WireListenOptions<Ticket> {
  readonly tls: ServerTls;
  /** From accept to the end of the handshake. */
  readonly handshakeMs: number;
  /**
   * A peer that ends without close_notify was cut off: onClose with ERR_TLS_TRUNCATED instead of onEnd. For streams whose end
   * means something: the runtime hands us what it decrypts a second time, encrypted, which costs half a microsecond for a
   * message, and a sixth of what a bulk of received data costs.
   */
  readonly tellTruncation: boolean;
  /** Left out: no authority is answered here. */
  readonly challenges?: TlsChallenges;
  /** Left out or null: a name without a certificate gets the first. */
  readonly wanted?: WantedNames | null;
}

export interface TlsConnectOptions extends WireConnectOptions {
  readonly tls: ClientTls;
  /** In order of preference; empty: none is asked for. */
  readonly alpn: readonly string[];
  /** As of TlsListenOptions. */
  readonly tellTruncation: boolean;
}

/** @throws ProxyError ERR_LISTEN */
export function listenTls<Ticket>(options: TlsListenOptions<Ticket>): WireServer {
  const { tls, handshakeMs, tellTruncation, challenges = null, wanted = null } = options;
  const handshakes = new Set<Handshake>();
  /** For certificates: their time is not the client's. */
  const waiting = new Set<Handshake>();
  const sweep = new Sweep(() => {
    const now = monotonicMs();
    for (const handshake of handshakes) {
      if (now < handshake.startedMs + handshakeMs) break; // they began in this order
      handshake.fail(handshakeTimeout(handshakeMs));
    }
    return handshakes.size > 0;
  });
  const isTapped = (): boolean => tellTruncation || challenges?.hasTls === true;
  let tapped = isTapped();
  const server = listenSockets(options, tapped ? TAPPED : UNTAPPED, (socket, peer, ticket) => {
    const hello = challenges?.hasTls === true ? new HelloBytes() : null;
    const tail = tellTruncation ? new StreamTail() : null;
    const checks = new ServerChecks(tls, { hello, challenges, wanted });
    const handshake = new Handshake(peer, options.watermarks, tail, checks, {
      done: (wire) => {
        handshakes.delete(handshake);
        options.onWire(wire, ticket);
      },
      failed: (error) => {
        handshakes.delete(handshake);
        waiting.delete(handshake);
        options.onRefused(ticket, error);
      },
      waits: () => {
        handshakes.delete(handshake);
        waiting.add(handshake);
      },
      goesOn: () => {
        waiting.delete(handshake);
        handshakes.add(handshake);
        sweep.need(handshakeMs);
      },
    });
    handshakes.add(handshake);
    sweep.need(handshakeMs);
    handshake.start(socket, hello);
  });
  const unwatch = challenges?.watch(() => {
    if (isTapped() === tapped) return;
    tapped = !tapped;
    server.handle(tapped ? TAPPED : UNTAPPED);
  });
  const close = (): void => {
    unwatch?.();
    server.close();
  };
  const abort = (): void => {
    server.abort();
    for (const handshake of [...handshakes, ...waiting]) handshake.cancel();
    handshakes.clear();
    waiting.clear();
    sweep.stop();
  };
  return { address: server.address, close, abort };
}

/** The handshake is part of it: whoever wants a wire in time cancels. */
export function connectTls(options: TlsConnectOptions, done: Connected): Connecting {
  const { tls, alpn, address, watermarks } = options;
  const tail = options.tellTruncation ? new StreamTail() : null;
  const checks = new ClientChecks(tls, alpn);
  const handshake = new Handshake(peerAt(address), watermarks, tail, checks, {
    done: (wire) => done(wire, null),
    failed: (error) => done(null, error),
  });
  const early = new EarlySocket();
  const connecting = connectSocket(options, early, (error) => {
    if (error !== null) return done(null, error);
    handshake.start(early.socket!, null);
  });
  return {
    cancel: () => {
      connecting.cancel();
      handshake.cancel();
    },
  };
}

/** The socket until it is connected; what it would tell is told to the handshake. */
class EarlySocket implements AttemptSide {
  socket: RelaySocket | null = null;
  receive(): void {}
  flush(): void {}
  receiveFin(): void {}
  close(): void {}
}

interface HandshakeEvents {
  /** The wire's handler must be set before this returns. */
  done(wire: Wire): void;
  failed(error: Error & { code?: string }): void;
  /** For a certificate, until `goesOn` or `failed`. */
  waits?(): void;
  goesOn?(): void;
}

class Handshake implements SocketEvents, Waiter {
  startedMs = monotonicMs();
  readonly checks: Checks;
  readonly #peer: Peer;
  readonly #marks: Watermarks;
  readonly #tail: StreamTail | null;
  readonly #events: HandshakeEvents;
  #socket: TlsSocket | null = null;
  /** Below it. */
  #raw: RelaySocket | null = null;
  /** That the client asked for, while its certificate is waited for. */
  #name = "";
  #refusal: TlsError | null = null;
  /** An authority has seen what it came for, and is about to leave. */
  #isAnswered = false;
  /** Came before the peer is verified. */
  #session: Uint8Array | null = null;
  #over = false;

  constructor(
    peer: Peer,
    marks: Watermarks,
    tail: StreamTail | null,
    checks: Checks,
    events: HandshakeEvents,
  ) {
    this.#peer = peer;
    this.#marks = marks;
    this.#tail = tail;
    this.checks = checks;
    this.#events = events;
  }

  /** @param hello of a client that may be an authority. */
  start(raw: RelaySocket, hello: HelloBytes | null): void {
    const { options, isServer } = this.checks;
    const upgrade = { isServer, tls: options, data: this as SocketEvents, socket: TLS_HANDLERS };
    const [tap, socket] = raw.upgradeTLS(upgrade);
    this.#socket = socket;
    this.#raw = tap;
    if (this.#tail !== null || hello !== null) tap.data = new Tap(this.#tail, hello);
  }

  /** @returns what the runtime is to do (TlsHandlers.serverName). */
  choose(name: string): NativeContext | true | Error | undefined {
    const choice = this.checks.contextFor(name, this.#socket!, this);
    if (choice === LATER) {
      this.#name = name;
      this.#events.waits?.();
      return true;
    }
    if (!(choice instanceof TlsError)) return choice ?? undefined;
    this.#refuseName(choice);
    return choice;
  }

  granted(): void {
    const socket = this.#socket as WaitingSocket;
    this.startedMs = monotonicMs();
    this.#events.goesOn?.();
    socket.resumeSNI(this.checks.contextFor(this.#name, socket, this) as NativeContext, false);
  }

  denied(why: string): void {
    this.#refuseName(new TlsError("ERR_TLS_UNRECOGNIZED_NAME", why));
    (this.#socket as WaitingSocket).resumeSNI(undefined, true);
  }

  /** The runtime ends the handshake without a word: nothing was encrypted yet, so the alert can be written below it. */
  #refuseName(error: TlsError): void {
    this.#refusal = error;
    this.#raw?.write(UNRECOGNIZED_NAME);
  }

  session(session: Uint8Array): void {
    this.#session = session;
  }

  /** Nobody wants it any more: no event follows. */
  cancel(): void {
    if (this.#over) return;
    this.#finish();
    this.#reset();
  }

  #finish(): void {
    this.#over = true;
    this.#raw = null;
    this.checks.leave(this);
  }

  #reset(): void {
    if (this.#socket === null) return;
    resetAtClose(fdOf(this.#socket));
    this.#socket.terminate();
  }

  fail(error: Error & { code?: string }): void {
    if (this.#over) return;
    this.#finish();
    this.#events.failed(this.#isAnswered ? challengeAnswered() : error); // first, so that a client that was told finds it counted
    this.#reset();
  }

  handshake(socket: TlsSocket, completed: boolean, said: HandshakeError | null): void {
    if (this.#over) return;
    // The runtime looks for a name of its own, and completes the handshake all the same; `verify` looks for the right one.
    const isName = said?.code === "ERR_TLS_CERT_ALTNAME_INVALID";
    const success = completed || isName;
    const error = isName ? null : said;
    if (!success && error?.code === "ECONNRESET") return this.fail(departure());
    if (success && this.checks.isChallenge) {
      this.#isAnswered = true;
      socket.end();
      return;
    }
    const failure = this.#refusal ?? (success ? null : handshakeError(error));
    const refused = failure ?? this.checks.verify(socket, error);
    this.#finish();
    if (refused !== null) {
      this.#events.failed(refused);
      if (success) socket.end();
      socket.terminate(); // behind the alert that says why, or close_notify
      return;
    }
    const tls = describe(socket, this.checks.authorizes && error === null);
    const { keepSession } = this.checks;
    const wire = new TlsWire(socket, this.#peer, this.#marks, tls, this.#tail, keepSession);
    if (this.#session !== null) keepSession?.(this.#session);
    socket.data = wire;
    this.#events.done(wire);
  }

  /** There is no data before the end of a handshake. */
  receive(): void {}
  flush(): void {}

  receiveFin(): void {
    this.fail(departure());
  }

  close(error: (Error & { code?: string }) | undefined): void {
    this.#socket = null;
    this.fail(error ?? departure());
  }
}

/** Of the socket below, which has no `data` where nobody taps. */
const TAPPED: SocketHandler<SocketEvents> = {
  data: (socket, chunk) => socket.data?.receive(chunk),
  drain: () => {},
};
const UNTAPPED: SocketHandler<SocketEvents> = { drain: () => {} };

/** Nothing went wrong with its connection. */
function challengeAnswered(): Error & { code: string } {
  return Object.assign(new Error("a challenge was answered"), { code: "end" });
}

/** A fatal alert (RFC 8446 section 6.2), as a record of every version. */
const UNRECOGNIZED_NAME = new Uint8Array([21, 3, 3, 0, 2, 2, 112]);

/** One whose `serverName` said `true`. @param failed there is no context: the handshake ends. */
type WaitingSocket = TlsSocket & {
  resumeSNI(context: NativeContext | undefined, failed: boolean): void;
};

/** With what the runtime's typings leave out, and node:tls is made of. */
interface TlsHandlers extends SocketHandler<SocketEvents> {
  session(socket: TlsSocket, session: Uint8Array): void;
  /**
   * Only for clients that send a name. @returns undefined: the context that the socket has; true: `resumeSNI` will tell; an
   * error: the handshake fails.
   */
  serverName(data: SocketEvents, name: string): NativeContext | true | Error | undefined;
  /** Only for clients that offer protocols. @returns false: none is agreed upon; undefined: the handshake fails. */
  alpnCallback(
    socket: TlsSocket,
    name: string | null,
    wire: Uint8Array,
  ): string | false | undefined;
}

function handshakeOf(data: SocketEvents): Handshake | null {
  return data instanceof Handshake ? data : null;
}

const TLS_HANDLERS: TlsHandlers = {
  open: (socket) => handshakeOf(socket.data)?.checks.opened(socket),
  handshake: (socket, success, error) => {
    handshakeOf(socket.data)?.handshake(socket, success, error as HandshakeError | null);
  },
  session: ({ data }, session) => {
    if (data instanceof TlsWire) data.keepSession?.(session);
    else handshakeOf(data)?.session(session);
  },
  serverName: (data, name) => handshakeOf(data)?.choose(name),
  alpnCallback: (socket, _name, wire) =>
    handshakeOf(socket.data)?.checks.protocolFor(decodeProtocols(wire)),
  data: (socket, chunk) => {
    socket.data.receive(chunk);
    AHEAD.drain(); // what it asked for goes to sockets in clear, and so do the answers to others
  },
  drain: (socket) => socket.data.flush(),
  end: (socket) => socket.data.receiveFin(),
  close: (socket, error) => socket.data.close(error),
  error: (socket, error) => socket.data.close(error),
};
