// What clients and targets of chaos.ts do with each other: a client says first what is to happen, both ends play it, and both
// check every byte that they see.

import { StreamCheck } from "../../../test/support/bytes.ts";
import { Wire } from "../../../test/support/wire.ts";
import type { Place } from "./messages.ts";

export const HEAD_BYTES = 64;

/** Said by the client in its first bytes. */
export interface Exchange {
  readonly seed: number;
  /** Bytes of each direction. */
  readonly up: number;
  readonly down: number;
  readonly chunk: number;
  /** Who resets once it has sent half; nobody otherwise. */
  readonly resets: "" | "client" | "target";
  /** Who reads nothing for this long at first. */
  readonly stalls: "" | "client" | "target";
  readonly stallMs: number;
  /** Whether the client speaks only after this. */
  readonly restMs: number;
}

/** What a client says first. */
export function headOf({ seed, up, down, chunk, resets, stalls, stallMs }: Exchange): string {
  return JSON.stringify([seed, up, down, chunk, resets[0], stalls[0], stallMs]).padEnd(HEAD_BYTES);
}

export function exchangeOf(head: string): Exchange {
  const [seed, up, down, chunk, resets, stalls, stallMs] = JSON.parse(head) as [
    ...[number, number, number, number],
    ...[string | null, string | null, number],
  ];
  const who = (letter: string | null): Exchange["resets"] =>
    letter === "c" ? "client" : letter === "t" ? "target" : "";
  return { seed, up, down, chunk, resets: who(resets), stalls: who(stalls), stallMs, restMs: 0 };
}

/** Why something is wrong, whatever happened to the proxy: bytes that differ, or an end that hides that some are missing. */
export class Violation extends Error {}

interface Role {
  readonly sendSeed: number;
  readonly sends: number;
  readonly receives: number;
  readonly resets: boolean;
  readonly stalls: boolean;
}

/** @returns how it ended: `fin` is as it should be. @throws Violation */
async function play(wire: Wire, e: Exchange, role: Role): Promise<string> {
  const check = new StreamCheck(e.seed + (1 - (role.sendSeed - e.seed)));
  let wrong: unknown;
  if (role.stalls) wire.socket.pause();
  wire.onData((chunk) => {
    try {
      check.take(chunk);
    } catch (error) {
      wrong ??= error;
    }
  });
  const resume = role.stalls ? setTimeout(() => wire.socket.resume(), e.stallMs) : undefined;
  try {
    await wire.sendStream(role.sendSeed, role.resets ? role.sends >> 1 : role.sends, e.chunk);
    if (role.resets) wire.reset();
    else wire.end();
    const ending = await wire.ending;
    if (wrong !== undefined) throw new Violation(`seed ${e.seed}: ${(wrong as Error).message}`);
    const short = check.received !== role.receives;
    // On unix sockets a reset may look like an end.
    const isTcp = wire.socket.remoteFamily !== undefined;
    if (ending === "fin" && short && isTcp && e.resets === "") {
      throw new Violation(`seed ${e.seed}: FIN after ${check.received} of ${role.receives} bytes`);
    }
    return ending === "fin" && short ? "short" : ending;
  } finally {
    clearTimeout(resume);
    if (role.resets || wire.socket.errored !== null) wire.destroy();
  }
}

/** A target's side. A client that is gone before it has said anything is nothing. */
export async function answer(wire: Wire): Promise<void> {
  const head = await wire.readHead(HEAD_BYTES).catch(() => null);
  if (head === null) return wire.destroy();
  // Of somebody who does not mean us.
  if (!head.startsWith("[")) return wire.destroy();
  const e = exchangeOf(head);
  const [resets, stalls] = [e.resets === "target", e.stalls === "target"];
  await play(wire, e, { sendSeed: e.seed + 1, sends: e.down, receives: e.up, resets, stalls });
}

/** A client's side. @returns `fin`, or why it did not go through. @throws Violation */
export async function request(
  place: Place,
  e: Exchange,
  connected: (port: number) => void,
): Promise<string> {
  const wire = await Wire.connect(place).catch((error: NodeJS.ErrnoException) => error);
  if (wire instanceof Error) return `connect ${(wire as NodeJS.ErrnoException).code}`;
  connected(wire.socket.localPort ?? 0);
  if (e.restMs > 0) await Bun.sleep(e.restMs);
  void wire.write(headOf(e));
  const [resets, stalls] = [e.resets === "client", e.stalls === "client"];
  return play(wire, e, { sendSeed: e.seed, sends: e.up, receives: e.down, resets, stalls });
}
