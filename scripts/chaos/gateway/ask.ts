// One request of chaos and what is to happen to it: the client makes it up and says it in a field, so that both ends play
// it, and both check every byte that they see.

import type { RequestHead } from "../../../src/protocols/http/message/heads.ts";

export const BY_CLIENT = ["whole", "slow", "stalls", "cancels"] as const;
export const BY_BACKEND = [
  "whole",
  "echo", // sends back what comes, as it comes
  "stalls", // before its answer
  "early", // answers without the request's body
  "mute", // resets instead of an answer
  "half", // resets within the answer
  "leaves", // takes no more requests on this connection, and says so
  "slams", // closes this connection when it rests, without a word
] as const;

export interface Ask {
  readonly id: number;
  readonly method: string;
  /** Bytes of the request's body: stream `2 * id`; and of the answer's: `2 * id + 1`, or the same of an echo. */
  readonly up: number;
  readonly down: number;
  readonly chunk: number;
  /** Bodies say their length beforehand. */
  readonly measured: boolean;
  readonly client: (typeof BY_CLIENT)[number];
  readonly backend: (typeof BY_BACKEND)[number];
  readonly stallMs: number;
  readonly trailers: boolean;
  readonly informational: boolean;
  readonly kind: "request" | "websocket" | "grpc";
}

export const ASK_FIELD = "x-chaos-ask";

/** @returns null if it is nobody's of this run. */
export function askOf(head: RequestHead): Ask | null {
  const i = head.fields.findNamed(ASK_FIELD);
  return i < 0 ? null : (JSON.parse(head.fields.value(i)) as Ask);
}

const KIB = 1024;

/** Whatever a client might ask. @param random from 0 to below 1. */
export function inventAsk(id: number, kind: Ask["kind"], random: () => number): Ask {
  const oneOf = <T>(list: readonly T[]): T => list[Math.trunc(random() * list.length)]!;
  const size = (): number => Math.trunc(random() ** 5 * 1024 * KIB);
  const hasBody = kind !== "request" || random() < 0.5;
  const method = kind === "websocket" ? "GET" : hasBody ? oneOf(["POST", "PUT"]) : "GET";
  const behaves = random() < 0.7;
  const backend =
    kind === "request"
      ? random() < 0.5
        ? "whole"
        : oneOf(BY_BACKEND)
      : behaves
        ? "echo"
        : oneOf(["echo", "mute", "half", "leaves"] as const);
  const up = hasBody ? size() : 0;
  const down = backend === "echo" || kind !== "request" ? up : size();
  const isHead = method === "GET" && kind === "request" && random() < 0.1;
  const largest = random() < 0.3 ? 2 * KIB : 64 * KIB;
  return {
    id,
    method: isHead ? "HEAD" : method,
    up,
    down,
    // Not more than some hundred pieces: who writes single bytes all day is this process, not the proxy.
    chunk: 1 + Math.trunc(Math.max(up, down) / 300) + Math.trunc(random() ** 3 * largest),
    measured: kind === "request" && random() < 0.5,
    client: behaves ? oneOf(["whole", "whole", "whole", "slow", "stalls"]) : oneOf(BY_CLIENT),
    backend: isHead && backend === "half" ? "whole" : backend, // of nothing there is no half
    stallMs: Math.trunc(random() ** 2 * 700),
    trailers: kind === "grpc" || random() < 0.2,
    informational: kind === "request" && random() < 0.1,
    kind,
  };
}
