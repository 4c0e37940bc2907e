// Entries for the operations that a direction has with the kernel for as long as it moves bytes, and for their end. What they
// tell goes to traffic.ts, which also says when.

import {
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_FD,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_POLL_ADD,
  IORING_OP_RECV,
  IORING_POLL_ADD_MULTI,
  IORING_RECV_MULTISHOT,
  IOSQE_BUFFER_SELECT,
  SQE_FLAGS_SHIFT,
  SQE_IOPRIO_SHIFT,
} from "../../ffi/io-uring.ts";
import { EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "../../ffi/linux.ts";
import { OP_CANCEL, OP_POLL, OP_RECV, userLow } from "./operations.ts";
import type { Ring } from "./ring.ts";

/** The one group of provided buffers. */
export const BUFFER_GROUP = 0;

const RECV_ONCE = IORING_OP_RECV | (IOSQE_BUFFER_SELECT << SQE_FLAGS_SHIFT);
const RECV_ON_AND_ON = RECV_ONCE | (IORING_RECV_MULTISHOT << SQE_IOPRIO_SHIFT);
const POLL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;
const CANCEL_FLAGS = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;

/** Receives from the source of direction `d` into a pooled buffer: one result, or all until it is cancelled or ends. */
export function pushReceive(ring: Ring, fd: number, d: number, guard: number, once: boolean): void {
  const head = once ? RECV_ONCE : RECV_ON_AND_ON;
  ring.push(head, fd, 0, 0, 0, userLow(OP_RECV, d), guard, 0, BUFFER_GROUP);
}

/** Tells of both roles of the socket that is the source of direction `d`, until it is cancelled. */
export function pushPoll(ring: Ring, fd: number, d: number, guard: number): void {
  const low = userLow(OP_POLL, d);
  ring.push(IORING_OP_POLL_ADD, fd, 0, IORING_POLL_ADD_MULTI, POLL_EVENTS, low, guard);
}

/** Ends every operation on a socket. */
export function pushCancel(ring: Ring, fd: number, d: number, guard: number): void {
  ring.push(IORING_OP_ASYNC_CANCEL, fd, 0, 0, CANCEL_FLAGS, userLow(OP_CANCEL, d), guard);
}
