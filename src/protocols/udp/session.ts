// A session: one client's address at one socket of the listener, and a connected socket of its own towards one target, so that
// the target's answers, and nobody else's, come back to this client. It ends when no datagram came either way for the idle
// timeout, when its target refuses again and again, or when the worker ends. Created by listener.ts.

import type { udp } from "bun";

import { monotonicMs } from "../../shared/clock.ts";
import type { CounterWriter } from "../../shared/counters.ts";
import { errnoOf } from "../../shared/errors.ts";
import { UDP } from "../../shared/limits.ts";
import type { LiveTable } from "../../shared/live-table.ts";
import type { Drop } from "../../shared/messages.ts";
import { type Backlog, type Flusher, Outbox } from "../datagrams/outbox.ts";
import { errorIn, fdOf, type LocalSocket } from "../datagrams/sockets.ts";
import type { Peer, Resident } from "../live-rows.ts";
import type { UdpAttempt, UdpTarget } from "./targets.ts";

/** A socket of the listener, with its sessions by client: `address port`. */
export type UdpSocket = LocalSocket<Map<string, Session>>;

/** The client's end. */
export interface Client extends Peer {
  /** As the runtime writes it, and takes it for sending. */
  readonly address: string;
  /** Where its datagrams arrive, and answers leave. */
  local: UdpSocket;
}

/** A listener at whose sockets sessions are. */
export interface SessionReader {
  /** One of them is over, or another's from here on. */
  left(): void;
}

/** What a session needs of its listener. */
export interface SessionOwner extends SessionReader {
  readonly idleMs: number;
  readonly counters: CounterWriter;
  readonly live: LiveTable;
  /** What its datagrams towards the target share with those of others. */
  readonly sockets: { readonly flusher: Flusher; readonly backlog: Backlog };
  /** The socket towards the target is there. @returns false if it cannot be kept: too many descriptors. */
  admit(session: Session, fd: number): boolean;
  /** Counts answers that did not fit into its socket, which is about to be closed. */
  countLost(fd: number): void;
  /** It is over; called once. @param detail for the log, of a failure. */
  ended(session: Session, reason: string, detail: string): void;
}

export class Session implements Resident {
  readonly client: Client;
  readonly target: UdpTarget;
  readonly row: number;
  /** Who reads its client's datagrams: its owner at first. */
  reader: SessionReader;
  readonly #owner: SessionOwner;
  readonly #attempt: UdpAttempt;
  readonly #up: Outbox;
  #socket: udp.ConnectedSocket<"buffer"> | null = null;
  /** As the runtime writes the target's address. */
  #targetAddress = "";
  #connected = false;
  #over = false;
  /** What the target last showed: an answer, an ICMP error, nothing yet, or nothing for long. */
  #shown: "nothing" | "silence" | "answer" | "failure" = "nothing";
  /** Since when it may show something. */
  #connectedMs = 0;
  /** ICMP errors since the last answer. */
  #failures = 0;

  /**
   * @param attempt chose `target`, and was told of nothing yet.
   * @param openRow gives the session its row in the table of live connections.
   */
  constructor(
    owner: SessionOwner,
    client: Client,
    attempt: UdpAttempt,
    target: UdpTarget,
    openRow: (session: Session) => number,
  ) {
    this.#owner = this.reader = owner;
    this.#attempt = attempt;
    this.client = client;
    this.target = target;
    this.row = openRow(this);
    const dropped = (reason: Drop, errno: string): void => {
      owner.counters.dropped(reason);
      if (errno !== "") owner.counters.error(errno);
    };
    const { flusher, backlog } = owner.sockets;
    this.#up = new Outbox(true, flusher, backlog, { dropped });
  }

  get targetSlot(): number {
    return this.target.slot;
  }

  /** Its target's socket was open: the counters know it as a connection to the target. */
  get connected(): boolean {
    return this.#connected;
  }

  /** The target has shown whether it is there, so that the attempt is over, and only the target's slot is to be left. */
  get decided(): boolean {
    return this.#shown !== "nothing";
  }

  /** Opens the socket towards the target. Datagrams that come before it is there wait for it. */
  async start(): Promise<void> {
    const { host, port } = this.target.socket;
    try {
      const socket = await Bun.udpSocket({
        hostname: host.includes(":") ? "::" : "0.0.0.0",
        connect: { hostname: host, port },
        socket: {
          data: (_socket, data, fromPort, address) => this.#receive(data, fromPort, address),
          drain: () => this.#up.resume(),
          error: (...args) => this.#failed(errorIn(args)),
        },
      });
      if (this.#over) return socket.close();
      this.#socket = socket;
      if (!this.#owner.admit(this, fdOf(socket))) return;
      this.#targetAddress = socket.remoteAddress.address;
      this.#connected = true;
      this.#connectedMs = monotonicMs();
      this.#up.attach(socket);
    } catch (error) {
      this.#unopened(errnoOf(error));
    }
  }

  #unopened(errno: string): void {
    if (UNREACHABLE.includes(errno)) {
      this.#owner.counters.connectFailed(this.target.slot);
      this.#broke();
    }
    this.end(errno, `${this.target.name}: ${errno}`);
  }

  /** Without a datagram either way. */
  get idleMs(): number {
    return this.#owner.idleMs;
  }

  /** A datagram of the client. */
  forward(data: Uint8Array): void {
    const { counters, live } = this.#owner;
    const bytes = data.byteLength;
    const now = monotonicMs();
    counters.datagramUp(this.target.slot, bytes);
    live.bytesUp[this.row] = live.bytesUp[this.row]! + bytes;
    live.activeMs[this.row] = now;
    if (this.#shown === "nothing") this.#noteSilence(now);
    this.#up.push(data);
  }

  /** Protocols that go one way have no answers: such a target would never be known to be there. */
  #noteSilence(now: number): void {
    if (!this.#connected || now - this.#connectedMs < UDP.silenceMs) return;
    this.#shown = "silence";
    this.#attempt.succeeded(now);
  }

  /** A datagram that reached the socket. */
  #receive(data: Uint8Array, port: number, address: string): void {
    // Between bind and connect, a socket takes what anybody sends.
    if (port !== this.target.socket.port || address !== this.#targetAddress) return;
    const { counters, live } = this.#owner;
    const bytes = data.byteLength;
    const now = monotonicMs();
    counters.datagramDown(this.target.slot, bytes);
    live.bytesDown[this.row] = live.bytesDown[this.row]! + bytes;
    live.activeMs[this.row] = now;
    this.#failures = 0;
    if (this.#shown !== "answer") {
      this.#shown = "answer";
      this.#attempt.succeeded(now);
    }
    const { local, port: clientPort, address: clientAddress } = this.client;
    local.outbox.pushTo(data, clientPort, clientAddress);
  }

  /** ICMP: nobody listens there, or nothing leads there. The socket lives on. */
  #failed(error: unknown): void {
    if (this.#over) return;
    const errno = errnoOf(error);
    this.#owner.counters.error(errno);
    if (!UNREACHABLE.includes(errno)) return;
    this.#broke();
    if (++this.#failures >= UDP.refusalsMax) this.end(errno, `${this.target.name}: ${errno}`);
  }

  #broke(): void {
    this.#shown = "failure";
    this.#attempt.brokeOff(monotonicMs());
  }

  reset(): void {
    this.end("reset");
  }

  /** @param detail for the log, of a failure. */
  end(reason: string, detail = ""): void {
    if (this.#over) return;
    this.#up.flush();
    this.#over = true;
    this.#up.close();
    if (this.#socket !== null) this.#owner.countLost(fdOf(this.#socket));
    this.#socket?.close();
    if (!this.decided) this.#noteSilence(monotonicMs());
    if (!this.decided) this.#attempt.abandoned();
    this.#owner.ended(this, reason, detail);
    this.reader.left();
  }
}

/** What says that the target cannot be had. */
const UNREACHABLE: readonly string[] = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"];
