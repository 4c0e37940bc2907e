// What load programs and the backend say to each other in datagrams: the first word is the kind, the second the number by which
// an answer is known. Called by questions.ts, flow.ts and datagram-backend.ts.

/** The backend sends it back. */
export const QUESTION = 1;
/** It is counted. */
export const COUNTED = 2;
/** The backend answers with how many of this sender were counted so far, in the third word. */
export const COUNT = 3;

export const KIND_WORD = 0;
export const NUMBER_WORD = 1;
export const TOTAL_WORD = 2;
export const WORDS_MIN = 3;

/** A datagram of this many bytes; over an ArrayBuffer of its own, whose address stays. */
export function datagram(bytes: number): Uint32Array {
  return new Uint32Array(new ArrayBuffer(bytes));
}
