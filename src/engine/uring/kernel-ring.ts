// A real ring: sets it up, maps its memory, probes what the kernel can do, and enters it. Refuses with the reason where
// io_uring is forbidden (containers, sysctl io_uring_disabled) or lacks an operation, so that another engine is taken.

import { EAGAIN, EBUSY, EINTR, EINVAL, ENOSYS, EPERM, errnoText, ETIME } from "../../ffi/errno.ts";
import {
  BUF_REG_BYTES,
  CQE_WORDS,
  GETEVENTS_ARG_BYTES,
  GETEVENTS_TS,
  IO_URING_OP_SUPPORTED,
  IORING_ENTER_EXT_ARG,
  IORING_ENTER_GETEVENTS,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_NODROP,
  IORING_FEAT_SINGLE_MMAP,
  IORING_FEAT_SUBMIT_STABLE,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_OP_ACCEPT,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_CONNECT,
  IORING_OP_POLL_ADD,
  IORING_OP_RECV,
  IORING_OP_SEND,
  IORING_OP_SENDMSG,
  IORING_REGISTER_PBUF_RING,
  IORING_REGISTER_PROBE,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SUBMIT_ALL,
  ioUringEnter,
  ioUringRegister,
  ioUringSetup,
  MAP_POPULATE,
  MAP_SHARED,
  mapMemory,
  PARAMS,
  PARAMS_BYTES,
  PROBE_HEADER_BYTES,
  PROBE_OP_BYTES,
  PROBE_OP_FLAGS,
  SQE_WORDS,
  unmapMemory,
} from "../../ffi/io-uring.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../ffi/linux.ts";
import { addressOf, pinnedBytes, pinnedInt32, type Pointer, viewOf } from "../../ffi/memory.ts";
import { ProxyError } from "../../shared/errors.ts";
import { impossible } from "../linux/errnos.ts";
import type { RingKernel, RingLayout } from "./ring.ts";

const SETUP_FLAGS =
  IORING_SETUP_CQSIZE |
  IORING_SETUP_SUBMIT_ALL |
  IORING_SETUP_COOP_TASKRUN |
  IORING_SETUP_SINGLE_ISSUER |
  IORING_SETUP_DEFER_TASKRUN;

/** Each with the name that a refusal tells. */
const FEATURES: readonly (readonly [number, string])[] = [
  [IORING_FEAT_SINGLE_MMAP, "SINGLE_MMAP"],
  [IORING_FEAT_NODROP, "NODROP"],
  [IORING_FEAT_SUBMIT_STABLE, "SUBMIT_STABLE"],
  [IORING_FEAT_EXT_ARG, "EXT_ARG"],
];
const OPERATIONS: readonly (readonly [number, string])[] = [
  [IORING_OP_POLL_ADD, "POLL_ADD"],
  [IORING_OP_SENDMSG, "SENDMSG"],
  [IORING_OP_ACCEPT, "ACCEPT"],
  [IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"],
  [IORING_OP_CONNECT, "CONNECT"],
  [IORING_OP_SEND, "SEND"],
  [IORING_OP_RECV, "RECV"],
];
const PROBE_OPERATIONS = 256;

export class KernelRing implements RingKernel {
  readonly fd: number;
  readonly layout: RingLayout;
  readonly #maps: (readonly [Pointer, number])[] = [];
  /** struct io_uring_getevents_arg, and the struct __kernel_timespec that it points to. */
  readonly #arg = pinnedInt32(GETEVENTS_ARG_BYTES / 4);
  readonly #argAddress = addressOf(this.#arg);
  /** tv_sec (2 words), tv_nsec (2). */
  readonly #time = pinnedInt32(4);
  readonly #timeAddress = Number(addressOf(this.#time));

  /** @throws ProxyError ERR_ENGINE with the reason. */
  constructor(sqEntries: number, cqEntries: number) {
    const params = pinnedInt32(PARAMS_BYTES / 4);
    params[PARAMS.cqEntries] = cqEntries;
    params[PARAMS.flags] = SETUP_FLAGS | IORING_SETUP_NO_SQARRAY; // Linux 6.6
    let fd = ioUringSetup(sqEntries, addressOf(params));
    if (fd < 0 && errno() === EINVAL) {
      params[PARAMS.flags] = SETUP_FLAGS;
      fd = ioUringSetup(sqEntries, addressOf(params));
    }
    if (fd < 0) throw new ProxyError("ERR_ENGINE", setupFailure(errno()));
    this.fd = fd;
    try {
      this.#requireFeatures(params[PARAMS.features]!);
      this.#requireOperations();
      this.layout = this.#map(params);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #requireFeatures(features: number): void {
    for (const [bit, name] of FEATURES) {
      if ((features & bit) === 0) throw lacks(name);
    }
  }

  #requireOperations(): void {
    const probe = pinnedBytes(PROBE_HEADER_BYTES + PROBE_OPERATIONS * PROBE_OP_BYTES);
    if (ioUringRegister(this.fd, IORING_REGISTER_PROBE, addressOf(probe), PROBE_OPERATIONS) < 0) {
      throw lacks(`IORING_REGISTER_PROBE: ${errnoText(errno())}`);
    }
    for (const [operation, name] of OPERATIONS) {
      const flags = probe[PROBE_HEADER_BYTES + operation * PROBE_OP_BYTES + PROBE_OP_FLAGS]!;
      if ((flags & IO_URING_OP_SUPPORTED) === 0) throw lacks(`IORING_OP_${name}`);
    }
  }

  #map(params: Int32Array): RingLayout {
    const at = (field: number): number => params[field]!;
    const [sqEntries, cqEntries] = [at(PARAMS.sqEntries), at(PARAMS.cqEntries)];
    const cqesByte = at(PARAMS.cqCqes);
    const arrayEnd = at(PARAMS.sqArray) + sqEntries * 4;
    const ringBytes = Math.max(cqesByte + cqEntries * CQE_WORDS * 4, arrayEnd);
    const ring = this.#mapRing(ringBytes, IORING_OFF_SQ_RING);
    const sqes = this.#mapRing(sqEntries * SQE_WORDS * 4, IORING_OFF_SQES);
    const words = new Uint32Array(ring);
    if ((at(PARAMS.flags) & IORING_SETUP_NO_SQARRAY) === 0) {
      // Older kernels take entries in the order of an array of indices: it names each entry's own place, for ever.
      for (let i = 0; i < sqEntries; i++) words[at(PARAMS.sqArray) / 4 + i] = i;
    }
    return {
      words,
      sqes: new Int32Array(sqes),
      cqes: new Int32Array(ring, cqesByte, cqEntries * CQE_WORDS),
      sqEntries,
      cqEntries,
      sqHead: at(PARAMS.sqHead) / 4,
      sqTail: at(PARAMS.sqTail) / 4,
      cqHead: at(PARAMS.cqHead) / 4,
      cqTail: at(PARAMS.cqTail) / 4,
    };
  }

  #mapRing(bytes: number, offset: number): ArrayBuffer {
    const rounded = bytes + (-bytes & 3);
    const address = mapMemory(rounded, MAP_SHARED | MAP_POPULATE, this.fd, offset);
    if (address === null) {
      throw new ProxyError("ERR_ENGINE", `io_uring: its memory cannot be mapped`);
    }
    this.#maps.push([address, rounded]);
    return viewOf(address, rounded);
  }

  /** Gives the kernel a ring of buffers to receive into. @throws ProxyError ERR_ENGINE where it takes none. */
  registerBuffers(address: Pointer, entries: number, group: number): void {
    const registration = pinnedInt32(BUF_REG_BYTES / 4);
    registration[0] = Number(address) | 0;
    registration[1] = (Number(address) / 2 ** 32) | 0;
    registration[2] = entries;
    registration[3] = group;
    if (ioUringRegister(this.fd, IORING_REGISTER_PBUF_RING, addressOf(registration), 1) < 0) {
      throw lacks(`IORING_REGISTER_PBUF_RING: ${errnoText(errno())}`);
    }
  }

  enter(toSubmit: number, wait: boolean, timeoutMs: number): number {
    const timed = wait && timeoutMs >= 0;
    // GETEVENTS also makes the kernel deliver completions that did not fit (IORING_SQ_CQ_OVERFLOW).
    const flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    this.#arg[GETEVENTS_TS] = timed ? this.#timeAddress | 0 : 0;
    this.#arg[GETEVENTS_TS + 1] = timed ? (this.#timeAddress / 2 ** 32) | 0 : 0;
    if (timed) {
      const seconds = Math.floor(timeoutMs / 1_000);
      this.#time[0] = seconds;
      this.#time[2] = Math.ceil((timeoutMs - seconds * 1_000) * 1_000_000) % 1_000_000_000;
    }
    const minimum = wait ? 1 : 0;
    const taken = ioUringEnter(
      this.fd,
      toSubmit,
      minimum,
      flags,
      this.#argAddress,
      GETEVENTS_ARG_BYTES,
    );
    if (taken >= 0) return taken;
    const error = errno();
    // ETIME: the time is over. EBUSY and EAGAIN: completions are to be taken first. EINTR: a signal.
    if (error === ETIME || error === EINTR || error === EBUSY || error === EAGAIN) return 0;
    throw impossible("io_uring_enter", error);
  }

  sendNow(fd: number, address: number, bytes: number): number {
    const sent = libc.send(fd, address as Pointer, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno() : sent;
  }

  /** Cancels what is left and gives the memory back: no view of it may be used any more. */
  close(): void {
    libc.close(this.fd);
    for (const [address, bytes] of this.#maps) unmapMemory(address, bytes);
  }
}

function setupFailure(error: number): string {
  if (error === EPERM)
    return "io_uring is forbidden here (container policy or sysctl io_uring_disabled)";
  if (error === ENOSYS) return "this kernel has no io_uring";
  if (error === EINVAL) return "this kernel's io_uring is too old: Linux 6.1 is needed";
  return `io_uring cannot be set up: ${errnoText(error)}`;
}

function lacks(what: string): ProxyError {
  return new ProxyError("ERR_ENGINE", `this kernel's io_uring lacks ${what}`);
}
