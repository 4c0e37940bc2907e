// The states of a client's connection, and what each waits for. Invariant: server.ts moves only along these arrows.
//
//   REST ──first byte──▶ HEAD ──▶ BODY ──▶ WHOLE ──answered──▶ REST
//     │                   │        └──answered early──▶ DISCARD ──▶ REST
//     │                   └──▶ OFFER ──101──▶ TUNNEL
//     └── and from everywhere: DEAF (the last answer is sent, the client may read it) ──▶ GONE

import * as watch from "./watch.ts";

export const REST = 0;
export const HEAD = 1;
export const BODY = 2;
/** The request is complete, and its answer is not. */
export const WHOLE = 3;
/** An upgrade was asked for: what follows is of whichever protocol the answer says. */
export const OFFER = 4;
export const TUNNEL = 5;
/** The rest of a body that nobody wants any more. */
export const DISCARD = 6;
export const DEAF = 7;
export const GONE = 8;

/** By state. */
export const WAITS_FOR = [
  watch.FOR_REQUEST,
  watch.FOR_HEAD,
  watch.FOR_BODY,
  watch.FOR_OTHERS,
  watch.FOR_OTHERS,
  watch.FOR_OTHERS,
  watch.FOR_REST_OF_BODY,
  watch.FOR_END,
] as const;
