// The io_uring engine: one thread whose whole life is this loop. It enters the kernel once for a whole batch: hands over what
// is to be done and takes what was done. Clients are accepted, targets connected, bytes received and sent by the kernel;
// nothing of a connection is closed while the kernel has an operation of it.

import { ECANCELED, ETIMEDOUT } from "../../ffi/errno.ts";
import {
  IORING_ACCEPT_MULTISHOT,
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_FD,
  IORING_CQE_F_MORE,
  IORING_OP_ACCEPT,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_CONNECT,
  IORING_OP_POLL_ADD,
  IORING_POLL_ADD_MULTI,
  SQE_IOPRIO_SHIFT,
} from "../../ffi/io-uring.ts";
import { libc } from "../../ffi/libc.ts";
import { EPOLLIN, EPOLLRDHUP, SOCK_CLOEXEC } from "../../ffi/linux.ts";
import { addressOf } from "../../ffi/memory.ts";
import type { Sockaddr } from "../../ffi/sockaddr.ts";
import { monotonicMs } from "../../shared/clock.ts";
import { ProxyError } from "../../shared/errors.ts";
import type { RingPlan } from "../../shared/plan.ts";
import type { EngineHost } from "../engine.ts";
import type { OpenListener } from "../linux/acceptor.ts";
import { LinuxEngine } from "../linux/engine.ts";
import { ARRIVING, CONNECTING, OPEN } from "../linux/rows.ts";
import { setBlocking, socketError } from "../linux/sockets.ts";
import { Buffers } from "./buffers.ts";
import { Gather } from "./gather.ts";
import { KernelRing } from "./kernel-ring.ts";
import { Lanes } from "./lanes.ts";
import { MirrorPolls } from "./mirror-polls.ts";
import * as Op from "./operations.ts";
import { BUFFER_GROUP } from "./push.ts";
import { Ring, type RingKernel, type RingLayout } from "./ring.ts";
import type { SendKernel } from "./sending.ts";
import { needsRelay, Traffic } from "./traffic.ts";

const SQ_ENTRIES = 1_024;
/** Each row has a few completions at most that wait, and NODROP keeps what does not fit. */
const CQ_ENTRIES = 8_192;

/** At the end, the kernel gets this long to give its operations back. One turn is enough; one that hangs is not waited for. */
const END_TURNS_MAX = 1_000;
const END_TURN_MS = 10;

/** All of a descriptor: a listener that rested may have two accepts for a moment. */
const CANCEL_ACCEPTS = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;

/** What an engine works with, and closes at its end. A test may stand between it and the kernel. */
export interface Parts {
  readonly kernel: RingKernel & SendKernel & { readonly layout: RingLayout; close(): void };
  readonly buffers: Buffers;
}

/** @throws ProxyError ERR_ENGINE with the reason where io_uring is forbidden or lacks something. */
export function openParts(
  ring: RingPlan,
  sqEntries = SQ_ENTRIES,
  cqEntries = CQ_ENTRIES,
): { kernel: KernelRing; buffers: Buffers } {
  const kernel = new KernelRing(sqEntries, cqEntries);
  let buffers: Buffers | undefined;
  try {
    buffers = new Buffers(ring.buffers, ring.bufferBytes);
    kernel.registerBuffers(buffers.ringAddress, buffers.count, BUFFER_GROUP);
  } catch (error) {
    kernel.close();
    buffers?.close();
    throw error;
  }
  return { kernel, buffers };
}

export class UringEngine extends LinuxEngine {
  readonly name = "uring";
  readonly socketFlags = 0;
  readonly #kernel: Parts["kernel"];
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #lanes: Lanes;
  readonly #gather: Gather;
  readonly #traffic: Traffic;
  /** Accept operations that the kernel has, or will have with the next submission. */
  #accepting = 0;
  /** By row: the address of its last attempt to connect. */
  readonly #names: Uint8Array[] = [];
  readonly #mirrorPolls: MirrorPolls;
  readonly #wakeCount = new BigUint64Array(new ArrayBuffer(8));

  constructor(host: EngineHost, { kernel, buffers }: Parts) {
    super(host);
    this.#kernel = kernel;
    this.#buffers = buffers;
    this.#ring = new Ring(kernel.layout, kernel);
    this.#lanes = new Lanes(this.rows.capacity, buffers);
    this.#gather = new Gather(this.#ring, buffers, this.#lanes);
    this.#traffic = new Traffic(
      kernel,
      this.#ring,
      buffers,
      this.#lanes,
      this.connections,
      this.relay,
      this.#gather,
    );
    this.#mirrorPolls = new MirrorPolls(this.#ring, this.mirrors);
    this.#pollWake();
  }

  /** @throws ProxyError ERR_ENGINE with the reason where io_uring is forbidden or lacks something. */
  static create(host: EngineHost): UringEngine {
    if (process.platform !== "linux") {
      const problem = `engine "uring" needs Linux, this is ${process.platform}`;
      throw new ProxyError("ERR_ENGINE", problem, { cure: "Use auto or bun" });
    }
    return new UringEngine(host, openParts(host.ring));
  }

  #pollWake(): void {
    const low = Op.userLow(Op.OP_WAKE, 0);
    this.#ring.push(IORING_OP_POLL_ADD, this.wakeFd, 0, IORING_POLL_ADD_MULTI, EPOLLIN, low, 0);
  }

  watchListener(fd: number, listener: OpenListener): void {
    const { profile } = listener;
    setBlocking(fd, true); // the kernel waits on it; an O_NONBLOCK socket would answer EAGAIN
    const head = IORING_OP_ACCEPT | (IORING_ACCEPT_MULTISHOT << SQE_IOPRIO_SHIFT);
    const low = Op.userLow(Op.OP_ACCEPT, profile);
    this.#accepting++;
    listener.accepting++;
    this.#ring.push(head, fd, 0, 0, SOCK_CLOEXEC, low, fd);
  }

  /**
   * Submits at once: the descriptor may be closed right after. The same entry into the kernel runs what the cancelling left
   * to do, so the kernel wakes this thread for no client any more.
   */
  unwatchListener(fd: number, { profile }: OpenListener): void {
    const low = Op.userLow(Op.OP_CANCEL_ACCEPT, profile);
    this.#ring.push(IORING_OP_ASYNC_CANCEL, fd, 0, 0, CANCEL_ACCEPTS, low, 0);
    this.#submit();
    setBlocking(fd, false);
  }

  watchClient(row: number): number {
    this.#lanes.clear(row);
    return 0;
  }

  watchArrival(row: number): void {
    this.#lanes.inFlight[row]!++;
    const low = Op.userLow(Op.OP_ARRIVAL, row * 2);
    const guard = this.live.generation[row]!;
    const fd = this.rows.fd[row * 2]!;
    this.#ring.push(IORING_OP_POLL_ADD, fd, 0, 0, EPOLLIN | EPOLLRDHUP, low, guard);
  }

  startConnect(row: number, fd: number, target: Sockaddr): number {
    const side = row * 2 + 1;
    this.#lanes.inFlight[row]!++;
    const low = Op.userLow(Op.OP_CONNECT, side);
    const guard = this.live.generation[row]!;
    this.#names[row] = target.bytes; // until the kernel has read it, whoever gets new targets meanwhile
    const address = Number(addressOf(target.bytes));
    this.#ring.push(IORING_OP_CONNECT, fd, address, 0, 0, low, guard, target.bytes.length);
    return 0;
  }

  abandonConnect(row: number): void {
    const side = row * 2 + 1;
    this.#lanes.inFlight[row]!++;
    const low = Op.userLow(Op.OP_CANCEL, side);
    const guard = this.live.generation[row]!;
    const fd = this.rows.fd[side]!;
    this.#ring.push(IORING_OP_ASYNC_CANCEL, fd, 0, 0, IORING_ASYNC_CANCEL_FD, low, guard);
  }

  /**
   * A Fast Open target is polled: its handshake may not be over, and only a poll tells when it is. So is one that did not take
   * its first bytes, and so are rows that only the relay can serve.
   */
  startRelay(row: number): void {
    const profile = this.connections.profiles[this.rows.listener[row]!]!;
    const waits = this.rows.pending[row * 2]! > 0;
    if (profile.fastopen || waits || needsRelay(profile)) this.#traffic.startRelay(row);
    else this.#traffic.start(row);
  }

  protected startPair(row: number): number {
    this.#lanes.clear(row);
    this.#traffic.startRelay(row);
    return 0;
  }

  quiesce(row: number): boolean {
    return this.#traffic.quiesce(row);
  }

  watchMirror(slot: number, generation: number, fd: number): number {
    this.#mirrorPolls.watch(slot, generation, fd);
    return 0;
  }

  quiesceMirror(slot: number, fd: number): boolean {
    return this.#mirrorPolls.quiesce(slot, fd);
  }

  /**
   * A socket that nothing is received from, before the target is connected or after a FIN, does not tell that it was reset.
   * A poll would, at the price of two more operations for each connection; so it is asked now and then.
   */
  protected look(row: number): void {
    const { state, fd } = this.rows;
    if (state[row] === CONNECTING) {
      if (socketError(fd[row * 2]!) !== 0) this.connections.close(row, "reset");
    } else if (state[row] === OPEN) this.#traffic.look(row);
  }

  protected swept(): void {
    this.#buffers.relax();
  }

  protected release(): void {
    // Rows and copies are closing and accepts cancelled: they come back with the next entries into the kernel, and with the
    // accepts clients that nobody would know of otherwise.
    const isBusy = (): boolean => this.rows.open + this.mirrors.open + this.#accepting > 0;
    try {
      for (let turn = 0; isBusy() && turn < END_TURNS_MAX; turn++) this.#turn(END_TURN_MS);
    } finally {
      this.#kernel.close();
      // The kernel may still write into the buffers of an operation that did not come back: then they stay.
      if (!isBusy()) this.#buffers.close();
    }
  }

  run(): void {
    const { relay } = this;
    relay.now = monotonicMs();
    while (!this.ended) {
      this.#turn(relay.hasQueued ? 0 : this.waitMs());
      if (this.ended) return;
      if (relay.hasQueued) relay.serveQueued();
      this.timers(relay.now);
    }
  }

  /** One entry into the kernel, and what it brought. */
  #turn(timeoutMs: number): void {
    this.#traffic.flush();
    this.#ring.submitAndWait(timeoutMs);
    this.#gather.reset();
    this.relay.now = monotonicMs();
    if (this.#ring.ready > 0) this.strain.busy(this.relay.now);
    const wasEnded = this.ended;
    for (let left = this.#ring.ready; left > 0 && this.ended === wasEnded; left--) {
      this.#ring.next();
      this.#dispatch();
    }
  }

  #submit(): void {
    this.#ring.submit();
    this.#gather.reset();
  }

  #dispatch(): void {
    const { userLow, userHigh, result, flags } = this.#ring;
    const kind = Op.kindOf(userLow);
    const index = Op.indexOf(userLow);
    switch (kind) {
      case Op.OP_RECV:
        return this.#traffic.received(index, result, flags);
      case Op.OP_SEND:
        return this.#traffic.sent(index, result);
      case Op.OP_POLL:
        return this.#traffic.polled(index, result, flags);
      case Op.OP_CANCEL:
        return this.#traffic.cancelled(index);
      case Op.OP_MIRROR:
        return this.#mirrorPolls.polled(index, result, flags);
      case Op.OP_CANCEL_MIRROR:
        return this.#mirrorPolls.cancelled(index);
      case Op.OP_CONNECT:
        return this.#connected(index, result);
      case Op.OP_ARRIVAL:
        return this.#arrived(index);
      case Op.OP_ACCEPT:
        return this.#accepted(index, userHigh, result, flags);
      case Op.OP_WAKE:
        return this.#woken(flags);
      default:
        return; // OP_CANCEL_ACCEPT: the accept itself has told, or will
    }
  }

  #woken(flags: number): void {
    libc.read(this.wakeFd, addressOf(this.#wakeCount), 8);
    if ((flags & IORING_CQE_F_MORE) === 0) this.#pollWake();
    // A client that is handed over to an engine that ends would be nobody's, and the end would wait for it.
    if (!this.ended) this.host.readMailbox();
  }

  /** A poll of a client that is ARRIVING has told, which it does once, or failed: what there is to read says more. */
  #arrived(d: number): void {
    const row = d >>> 1;
    this.#traffic.operationEnded(row);
    if (this.rows.state[row] !== ARRIVING) return; // closed meanwhile
    this.firstBytes.readable(row);
    if (this.rows.state[row] === ARRIVING) this.watchArrival(row);
  }

  #connected(side: number, result: number): void {
    const row = side >>> 1;
    this.#traffic.operationEnded(row);
    if (this.rows.state[row] === OPEN || !this.live.isOpen(row)) return; // closed meanwhile
    if (result === 0) this.connector.connected(row);
    else this.connector.failed(row, result === -ECANCELED ? ETIMEDOUT : -result);
  }

  #accepted(profile: number, fd: number, result: number, flags: number): void {
    const listener = this.acceptor.listeners[profile]!;
    const { now } = this.relay;
    if (result >= 0 && this.ended) libc.close(result);
    else if (result >= 0) this.acceptor.accepted(listener, result, now);
    else if (result !== -ECANCELED) this.acceptor.acceptFailed(listener, -result, now);
    const over = (flags & IORING_CQE_F_MORE) === 0;
    if (!over) return;
    this.#accepting--;
    listener.accepting--;
    if (listener.watched && listener.fds.includes(fd)) this.watchListener(fd, listener);
    else if (listener.accepting === 0) this.unused(profile);
  }
}
