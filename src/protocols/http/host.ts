// What an exchange (relay.ts) needs of those around it: the client's connection, and the listener with what its exchanges share.
// Implemented by client.ts and exchanges.ts.

import type { CounterWriter } from "../../shared/counters.ts";
import type { HttpPlan } from "../../shared/http-plan.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { ClientConnection } from "./exchange.ts";
import type { AccessLog, ErrorAnswer, Guide } from "./passage.ts";
import type { Exchange } from "./relay.ts";
import type { Choice } from "./tries.ts";

/** What an exchange needs of the client's connection. */
export interface Client extends ClientConnection {
  readonly guide: Guide;
  /** 16 bytes (shared/ip.ts); null if it has none. */
  readonly ip: Uint8Array | null;
  /** For the table of live connections. */
  moved(bytesUp: number, bytesDown: number): void;
}

/** What all exchanges of a listener share. */
export interface ExchangeHost {
  readonly plan: HttpPlan;
  readonly counters: CounterWriter;
  readonly targets: Choice;
  readonly errorAnswer: ErrorAnswer;
  /** null: none is kept. */
  readonly accessLog: AccessLog | null;
  /** The time of the last request or sweep: near enough for timeouts, and costs nothing. */
  readonly coarseMs: number;
  clock(): number;
  /** Counted, and told to operators with the cause. */
  refused(reason: Refusal, detail: string): void;
  over(exchange: Exchange): void;
}
