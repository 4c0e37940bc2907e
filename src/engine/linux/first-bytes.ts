// The first bytes of a connection, in both directions: what a client sends before its target is chosen is read here and given
// to its Arrival (l4/entrance.ts), and what a target is sent before anything else: a PROXY header, and the client's bytes that
// were read. Called by the engine for rows that are ARRIVING, and by the connector.

import { EAGAIN, EINPROGRESS, EINTR, errnoName, errnoText } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../ffi/linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "../../ffi/memory.ts";
import { copyIp, portOf, SOCKADDR_MAX_BYTES } from "../../ffi/sockaddr.ts";
import type { Arrival, Verdict } from "../../l4/entrance.ts";
import type { Endpoints, Peer } from "../../l4/peer.ts";
import { encodeProxyHeader } from "../../l4/proxy/encode.ts";
import { IP_BYTES } from "../../shared/ip.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { OpenListener } from "./acceptor.ts";
import type { Connections } from "./connections.ts";
import { assertTransferReset } from "./errnos.ts";
import type { Relay } from "./relay.ts";
import type { Reports } from "./reports.ts";
import { ARRIVING, OPEN } from "./rows.ts";
import type { Watch } from "./watch.ts";

/** All that is ever wanted of a client at once. */
const SCRATCH_BYTES = FIRST_BYTES.proxyHeaderMaxBytes + FIRST_BYTES.clientHelloWireMaxBytes;

const UNIX: Peer = { kind: "unix", path: "" };

export class FirstBytes {
  readonly #watch: Watch;
  readonly #connections: Connections;
  readonly #relay: Relay;
  readonly #reports: Reports;
  readonly #listenerOf: (row: number) => OpenListener;
  /** Called with a row whose target can be chosen, among those of a group. */
  readonly #go: (row: number, listener: OpenListener, group: number) => void;
  /** Of rows that are ARRIVING, and of those that came so far and have no target yet. */
  readonly #arrivals: (Arrival | undefined)[] = [];
  readonly #scratch = pinnedBytes(SCRATCH_BYTES);
  readonly #scratchAddress = addressOf(this.#scratch);
  readonly #header = new Uint8Array(FIRST_BYTES.proxyHeaderMaxBytes);
  readonly #ip = new Uint8Array(IP_BYTES);
  readonly #localIp = new Uint8Array(IP_BYTES);
  readonly #local = pinnedBytes(SOCKADDR_MAX_BYTES);
  readonly #localLength = pinnedInt32(1);

  constructor(
    watch: Watch,
    connections: Connections,
    relay: Relay,
    reports: Reports,
    listenerOf: (row: number) => OpenListener,
    go: (row: number, listener: OpenListener, group: number) => void,
  ) {
    this.#watch = watch;
    this.#connections = connections;
    this.#relay = relay;
    this.#reports = reports;
    this.#listenerOf = listenerOf;
    this.#go = go;
  }

  /** Begins to read a client that was just accepted. */
  begin(row: number, listener: OpenListener): void {
    const { rows } = this.#connections;
    const known = rows.live.copyClientIp(row, this.#ip);
    const arrival = listener.entrance!.arrive(known ? this.#ip : null, this.#relay.now);
    this.#arrivals[row] = arrival;
    rows.state[row] = ARRIVING;
    rows.attemptDeadline[row] = arrival.deadlineMs;
    const error = this.#watch.watchClient(row);
    if (error !== 0) return this.#refuse(row, "descriptors", errnoText(error));
    this.#watch.watchArrival(row);
  }

  /** The client of a row that is ARRIVING has sent something, or its end, or is lost. Reads until there is no more. */
  readable(row: number): void {
    const fd = this.#connections.rows.fd[row * 2]!;
    const arrival = this.#arrivals[row]!;
    for (;;) {
      const got = libc.recv(fd, this.#scratchAddress, arrival.wanted, MSG_DONTWAIT);
      if (got < 0) {
        const error = errno();
        if (error === EAGAIN) return;
        if (error !== EINTR) return this.#lost(row, error);
        continue;
      }
      const verdict = got === 0 ? arrival.ended() : this.#take(row, arrival, got);
      if (verdict.type !== "more") return this.#settle(row, verdict);
    }
  }

  #take(row: number, arrival: Arrival, bytes: number): Verdict {
    const { rows } = this.#connections;
    const before = arrival.header;
    const verdict = arrival.take(this.#scratch.subarray(0, bytes), this.#relay.now);
    if (arrival.header === before) return verdict;
    const source = arrival.endpoints?.source;
    if (source?.kind === "ip") rows.live.setClientIp(row, source.ip, source.port);
    rows.live.setCounted(row, arrival.counted);
    rows.attemptDeadline[row] = arrival.deadlineMs;
    return verdict;
  }

  #settle(row: number, verdict: Exclude<Verdict, { type: "more" }>): void {
    if (verdict.type === "go") this.#go(row, this.#listenerOf(row), verdict.group);
    else if (verdict.type === "left") this.#connections.close(row, "end");
    else this.#refuse(row, verdict.reason, verdict.detail);
  }

  #lost(row: number, error: number): void {
    assertTransferReset("recv", error);
    this.#listenerOf(row).counters.error(errnoName(error));
    this.#connections.close(row, errnoName(error));
  }

  /** The client of a row that is ARRIVING has not said enough in its time. */
  expired(row: number): void {
    const { reason, detail } = this.#arrivals[row]!.expired();
    this.#refuse(row, reason, detail);
  }

  /** A row is about to be closed. */
  closing(row: number): void {
    this.#arrivals[row] = undefined;
  }

  #refuse(row: number, reason: Refusal, detail: string): void {
    const { counters, plan } = this.#listenerOf(row);
    counters.refused(reason);
    this.#reports.refused(plan.key, reason, detail, this.#relay.now);
    this.#connections.close(row, reason);
  }

  /**
   * A row became OPEN: its target is sent what comes before all else. What it does not take at once is pending; the header is
   * not counted as the client's bytes. The row may be closed after this.
   */
  greet(row: number, listener: OpenListener): void {
    const arrival = this.#arrivals[row];
    this.#arrivals[row] = undefined;
    const header = this.#writeHeader(row, listener, arrival);
    const rest = arrival?.rest;
    if (rest !== undefined && rest.length > 0) this.#connections.onFirstBytes(row, rest);
    const length = header + (rest?.length ?? 0);
    if (length === 0) return;
    const bytes = new Uint8Array(length);
    bytes.set(this.#header.subarray(0, header));
    if (rest !== undefined) bytes.set(rest, header);
    const d = row * 2;
    const sent = this.#send(d, bytes);
    if (sent < 0) return;
    const profile = this.#connections.profiles[listener.profile]!;
    if (sent > header) this.#relay.delivered(d, sent - header, profile);
    if (sent < length) this.#relay.inherit(d, bytes.subarray(sent));
  }

  /** @returns how many bytes the target has taken, or -1 if the row was closed. */
  #send(d: number, bytes: Uint8Array): number {
    const sink = this.#connections.rows.fd[d ^ 1]!;
    for (;;) {
      const sent = libc.send(sink, bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) return sent;
      const error = errno();
      if (error === EAGAIN || error === EINPROGRESS) return 0;
      if (error !== EINTR) return this.#relay.peerLost(d ^ 1, "send", error);
    }
  }

  /** @returns how many bytes it has; 0 if the target is sent none. */
  #writeHeader(row: number, { plan }: OpenListener, arrival: Arrival | undefined): number {
    const { send } = plan.proxyProtocol;
    if (send === "off") return 0;
    const endpoints = arrival?.endpoints ?? this.#endpoints(row);
    return encodeProxyHeader(this.#header, send === "v1" ? 1 : 2, endpoints, arrival?.extras);
  }

  /** What the sockets themselves say. */
  #endpoints(row: number): Endpoints {
    const { live, fd } = this.#connections.rows;
    if (!live.copyClientIp(row, this.#ip)) return { source: UNIX, destination: UNIX };
    this.#localLength[0] = SOCKADDR_MAX_BYTES;
    this.#local.fill(0, 0, 2); // AF_UNSPEC, if it cannot be told
    libc.getsockname(fd[row * 2]!, addressOf(this.#local), addressOf(this.#localLength));
    const known = copyIp(this.#local, this.#localIp);
    return {
      source: { kind: "ip", ip: this.#ip, port: live.clientPort(row) },
      destination: known ? { kind: "ip", ip: this.#localIp, port: portOf(this.#local) } : UNIX,
    };
  }

  /** After `greet`, once the row's sockets are watched: sends on what the target did not take. */
  goOn(row: number): void {
    const { state, pending } = this.#connections.rows;
    if (state[row] === OPEN && pending[row * 2]! > 0) this.#relay.pump(row * 2);
  }
}
