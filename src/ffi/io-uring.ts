// io_uring (io_uring(7)) as the kernel lays it out: system calls, operation codes, flags, and where the fields of its structs
// are, in 32-bit words. Numbers come from the kernel's uapi header linux/io_uring.h. No policy: engine/uring decides what to
// submit.

import { openLibc } from "./libc.ts";
import type { Pointer } from "./memory.ts";

const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const SYS_IO_URING_REGISTER = 427;

// io_uring_setup(2)
export const IORING_SETUP_CQSIZE = 1 << 3;
export const IORING_SETUP_SUBMIT_ALL = 1 << 7;
export const IORING_SETUP_COOP_TASKRUN = 1 << 8;
export const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
export const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
export const IORING_SETUP_NO_SQARRAY = 1 << 16;
export const IORING_FEAT_SINGLE_MMAP = 1 << 0;
export const IORING_FEAT_NODROP = 1 << 1;
export const IORING_FEAT_SUBMIT_STABLE = 1 << 2;
export const IORING_FEAT_EXT_ARG = 1 << 8;
export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_SQES = 0x10000000;

/** struct io_uring_params */
export const PARAMS_BYTES = 120;
export const PARAMS = {
  sqEntries: 0,
  cqEntries: 1,
  flags: 2,
  features: 5,
  sqHead: 10,
  sqTail: 11,
  sqMask: 12,
  sqFlags: 14,
  sqArray: 16,
  cqHead: 20,
  cqTail: 21,
  cqMask: 22,
  cqOverflow: 24,
  cqCqes: 25,
} as const;

// io_uring_enter(2)
export const IORING_ENTER_GETEVENTS = 1 << 0;
export const IORING_ENTER_EXT_ARG = 1 << 3;
/** struct io_uring_getevents_arg: sigmask (2 words), sigmask_sz, min_wait_usec, ts (2 words). */
export const GETEVENTS_ARG_BYTES = 24;
export const GETEVENTS_TS = 4;

// io_uring_register(2)
export const IORING_REGISTER_PROBE = 8;
export const IORING_REGISTER_PBUF_RING = 22;
/** struct io_uring_probe: last_op (1 byte), ops_len (1), resv (14), then 8 bytes for each operation with flags at 2. */
export const PROBE_HEADER_BYTES = 16;
export const PROBE_OP_BYTES = 8;
export const PROBE_OP_FLAGS = 2;
export const IO_URING_OP_SUPPORTED = 1;

/** struct io_uring_sqe, 16 words. */
export const SQE_WORDS = 16;
export const SQE = {
  /** opcode (1 byte), flags (1), ioprio (2). */
  head: 0,
  fd: 1,
  off: 2,
  addr: 4,
  len: 6,
  opFlags: 7,
  userData: 8,
  /** buf_index or buf_group (2 bytes), personality (2). */
  group: 10,
} as const;
/** Where flags and ioprio stand in SQE.head. */
export const SQE_FLAGS_SHIFT = 8;
export const SQE_IOPRIO_SHIFT = 16;
export const IOSQE_BUFFER_SELECT = 1 << 5;

/** struct io_uring_cqe, 4 words: user_data (2), res, flags. */
export const CQE_WORDS = 4;
export const CQE_RES = 2;
export const CQE_FLAGS = 3;
export const IORING_CQE_F_BUFFER = 1 << 0;
export const IORING_CQE_F_MORE = 1 << 1;
/** Of a receive: the socket held more than was taken. */
export const IORING_CQE_F_SOCK_NONEMPTY = 1 << 2;
export const IORING_CQE_BUFFER_SHIFT = 16;

export const IORING_OP_POLL_ADD = 6;
export const IORING_OP_SENDMSG = 9;
export const IORING_OP_ACCEPT = 13;
export const IORING_OP_ASYNC_CANCEL = 14;
export const IORING_OP_CONNECT = 16;
export const IORING_OP_SEND = 26;
export const IORING_OP_RECV = 27;
/** sqe->len of POLL_ADD. */
export const IORING_POLL_ADD_MULTI = 1 << 0;
/** sqe->ioprio of ACCEPT and RECV. */
export const IORING_ACCEPT_MULTISHOT = 1 << 0;
export const IORING_RECV_MULTISHOT = 1 << 1;
/** sqe->cancel_flags */
export const IORING_ASYNC_CANCEL_ALL = 1 << 0;
export const IORING_ASYNC_CANCEL_FD = 1 << 1;

/** struct io_uring_buf, 4 words: addr (2), len, bid (2 bytes) and, in the first entry, the ring's tail (2 bytes). */
export const BUF_WORDS = 4;
/** Index of the tail in 16-bit units. */
export const BUF_TAIL_U16 = 7;
/** struct io_uring_buf_reg: ring_addr (2 words), ring_entries, bgid (2 bytes), flags (2), resv (6 words). */
export const BUF_REG_BYTES = 40;

// mmap(2)
export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_ANONYMOUS = 0x20;
export const MAP_POPULATE = 0x8000;
export const MADV_DONTNEED = 4;

/** syscall(2) is variadic; integers and pointers travel as in an ordinary call on Linux's ABIs. */
const setup = openLibc({
  // int io_uring_setup(u32 entries, struct io_uring_params *p)
  syscall: { args: ["i32", "u32", "ptr"], returns: "i32" },
} as const);
const enter = openLibc({
  // int io_uring_enter(unsigned int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags,
  //                    void *arg, size_t argsz)
  // The seventh argument travels on the stack, where compiled code writes only the lower half of a u32 (seen in Bun 1.4.5:
  // after some 8,000 calls the kernel saw 0x61400000018 for 24). A pointer is written whole.
  syscall: { args: ["i32", "i32", "u32", "u32", "u32", "ptr", "ptr"], returns: "i32" },
} as const);
const register = openLibc({
  // int io_uring_register(unsigned int fd, unsigned int opcode, void *arg, unsigned int nr_args)
  syscall: { args: ["i32", "i32", "u32", "ptr", "u32"], returns: "i32" },
} as const);
const memory = openLibc({
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset): offsets here are below 2^32
  mmap: { args: ["ptr", "u32", "i32", "i32", "i32", "u32"], returns: "ptr" },
  // int munmap(void *addr, size_t length)
  munmap: { args: ["ptr", "u32"], returns: "i32" },
  // int madvise(void *addr, size_t length, int advice)
  madvise: { args: ["ptr", "u32", "i32"], returns: "i32" },
  // int getpagesize(void)
  getpagesize: { args: [], returns: "i32" },
} as const);

export function ioUringSetup(entries: number, params: Pointer): number {
  return setup.syscall(SYS_IO_URING_SETUP, entries, params);
}

export function ioUringEnter(
  fd: number,
  toSubmit: number,
  minComplete: number,
  flags: number,
  arg: Pointer | null,
  argBytes: number,
): number {
  return enter.syscall(
    SYS_IO_URING_ENTER,
    fd,
    toSubmit,
    minComplete,
    flags,
    arg,
    argBytes as Pointer,
  );
}

export function ioUringRegister(fd: number, opcode: number, arg: Pointer, count: number): number {
  return register.syscall(SYS_IO_URING_REGISTER, fd, opcode, arg, count);
}

/** @returns the address, or null. */
export function mapMemory(
  bytes: number,
  flags: number,
  fd: number,
  offset: number,
): Pointer | null {
  const address = Number(memory.mmap(null, bytes, PROT_READ_WRITE, flags, fd, offset));
  // MAP_FAILED is (void *) -1; user memory ends far below 2^53.
  return address > 0 && Number.isSafeInteger(address) ? (address as Pointer) : null;
}

export function pageBytes(): number {
  return memory.getpagesize();
}

/** Whole pages of a private mapping give their memory back, and read as zeros when they are touched again (madvise(2)). */
export function releasePages(address: number, bytes: number): void {
  memory.madvise(address as Pointer, bytes, MADV_DONTNEED);
}

export function unmapMemory(address: Pointer, bytes: number): void {
  memory.munmap(address, bytes);
}
