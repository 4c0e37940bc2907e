// What a gateway worker and the protocols in it know of each other. A gateway worker (src/gateway.ts) lives on its event loop,
// composes protocols and gives them what they share; a protocol owns its listeners, and imports no other protocol.

import type { Strain } from "../l4/strain.ts";
import type { SocketAddress } from "../shared/address.ts";
import type { ListenerCertificates } from "../shared/certificates.ts";
import type { BindRequest, TargetSlot, WorkerEvent } from "../shared/messages.ts";
import type { BufferSizesPlan, SocketPlan } from "../shared/plan.ts";
import type { Bandwidth } from "./bandwidth.ts";
import type { ChallengeAnswers } from "./challenge-answers.ts";
import type { LiveRows } from "./live-rows.ts";

/** What the worker gives to its protocols. */
export interface GatewayHost {
  /** This worker among all. */
  readonly index: number;
  /** Emits `connection` events. */
  readonly traceConnections: boolean;
  readonly rows: LiveRows;
  /** Asked before new work is begun. */
  readonly strain: Pick<Strain, "sheds" | "shedsClient" | "isFull" | "reason">;
  readonly bandwidth: Bandwidth;
  readonly challenges: ChallengeAnswers;
  /** Gets lines of the NSS key log of every QUIC connection; null: none are made. */
  readonly keyLog: ((line: string) => void) | null;
  emit(event: WorkerEvent): void;
  /** False for a descriptor beyond those that connections may take: the last ones are kept for everything else. */
  hasRoom(fd: number): boolean;
  /** @returns a sentence for each setting that cannot be had. */
  setBuffers(fd: number, sizes: BufferSizesPlan): readonly string[];
  /** On a TCP socket. @returns a sentence for each option that cannot be had. */
  setSocketOptions(
    fd: number,
    options: Partial<SocketPlan>,
    role: "listener" | "accepted" | "target",
  ): readonly string[];
  /** Opens listening sockets, which are the caller's. @returns null where the runtime must. @throws ProxyError ERR_LISTEN */
  bind(
    request: BindRequest,
  ): { readonly fds: number[]; readonly bound: readonly SocketAddress[] } | null;
  /** A second descriptor of the same socket, closed on exec. */
  duplicate(fd: number): number;
  /** Of a listening or UDP socket; both families at once is the empty host. */
  addressOf(fd: number): SocketAddress;
  /** How many datagrams have not fitted into a socket's receive buffer so far. */
  lostDatagrams(fd: number): number;
  /** Sends through a UDP socket and does not read from it. @param fd is its own from here on. */
  senderOf(fd: number): PacketSender;
  /** @param fd a UDP socket, which stays its owner's. @returns null where the system has no such call. */
  segmentsOf(fd: number): SegmentSender | null;
  /**
   * From here on several datagrams of one sender, of one size but for the last, may come through this UDP socket as one.
   * @returns false: the system does not do it.
   */
  gatherDatagrams(fd: number): boolean;
  /** Milliseconds of a clock that all threads share, for limits that workers keep together. */
  sharedMs(): number;
  /** Sees to it that `sweep` of every listener is called at least eight times within this time. */
  needSweep(timeoutMs: number): void;
}

/** Sends many datagrams of one size in one call. One buffer serves all senders of the thread: fill it and send at once. */
export interface SegmentSender {
  /** Where the datagrams are written, one behind the other. */
  readonly buffer: Uint8Array;
  /** At most so many at once. */
  readonly segmentsMax: number;
  /**
   * The first `bytes` of the buffer; the last segment may be shorter. @param to null: the socket is connected.
   * @returns false: the system has no room now, or cannot do it for this socket.
   */
  send(
    bytes: number,
    segmentBytes: number,
    to: { readonly host: string; readonly port: number } | null,
  ): boolean;
}

export interface PacketSender {
  /** As udp.Socket.sendMany: data, port and address in turn. */
  sendMany(packets: readonly unknown[]): number;
  close(): void;
}

/** What a listener's clients arrive at: of streams (stream-sockets.ts) or datagrams (datagrams/sockets.ts). */
export interface ListenerSockets {
  /**
   * Binds every address.
   * @throws ProxyError ERR_LISTEN; the listener must be ended then, and nothing stays bound.
   */
  open(): Promise<readonly SocketAddress[]>;
  /** They are the caller's to close: a successor is to take clients from them. */
  duplicates(): readonly number[];
  /**
   * Takes clients, if they were opened quietly (OpenRequest.quiet) and left to the process that this one replaces.
   * @returns a sentence for each socket that is not to be had.
   */
  accept(): Promise<readonly string[]>;
  /** Those over QUIC among them. */
  readonly overQuic?: ListenerSockets;
  /** They were closed, and what is left of connections or sessions still has an address. */
  readonly lingers?: boolean;
  /** Before `open`: listeners of this worker are replaced. At `accept` what cannot be duplicated is taken over from them. */
  follow?(before: ListenerSockets): void;
  /** Another process takes clients from the same sockets: these take none any more, and leave those that wait. */
  handOn(): void;
}

export interface GatewayListener {
  /** ListenerPlan.key. */
  readonly key: string;
  /** Opened, handed on, and asked for by the worker; closed by the listener. */
  readonly sockets: ListenerSockets;
  setTargets(targets: readonly TargetSlot[]): void;
  /** Of a listener that speaks TLS with clients or targets: for handshakes that begin later. */
  setCertificates?(certificates: ListenerCertificates): void;
  /** Of a listener with TlsServerPlan.onDemand: what waits for a certificate of this name waits in vain. */
  denyCertificate?(name: string): void;
  /** Takes no new clients, and frees the address when the last one is gone. */
  close(): void;
  /** Nothing is left of it: it was closed, and its last client is gone. */
  readonly over: boolean;
  /** Ends what has timed out. @returns whether anything still can. */
  sweep(nowMs: number): boolean;
  /** Ends everything at once. */
  end(): void;
}
