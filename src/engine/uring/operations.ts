// Which operation a completion belongs to: the 64 bits of user_data. The low word is a direction or a profile and the kind of
// operation; the high word is the row's generation, or a listener's descriptor. A row is not given back while the kernel has an
// operation of it, so a generation that does not match is a bug, and is treated as one.
//
//   low: index << 4 | kind      high: generation or descriptor

export const OP_WAKE = 0; // poll of the eventfd
export const OP_ACCEPT = 1; // index: profile; high: descriptor
export const OP_CONNECT = 2; // index: direction of the target
export const OP_RECV = 3; // index: direction whose source it reads
export const OP_SEND = 4; // index: direction whose sink it writes
export const OP_POLL = 5; // index: direction whose source it watches, for both of its roles
export const OP_CANCEL = 6; // index: direction; of an accept: the profile, as OP_CANCEL_ACCEPT
export const OP_CANCEL_ACCEPT = 7;
export const OP_ARRIVAL = 8; // index: direction of the client; a poll until it sends its first bytes
export const OP_MIRROR = 9; // poll of a mirror's socket; index: its slot
export const OP_CANCEL_MIRROR = 10;

const KIND_BITS = 4;
const KIND_MASK = (1 << KIND_BITS) - 1;

export function userLow(kind: number, index: number): number {
  return (index << KIND_BITS) | kind;
}

export function kindOf(low: number): number {
  return low & KIND_MASK;
}

export function indexOf(low: number): number {
  return low >>> KIND_BITS;
}
