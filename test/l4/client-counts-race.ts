// One of the threads that count the same clients (client-counts.test.ts).

import { ClientCounts } from "../../src/l4/client-counts.ts";
import { parseIp } from "../../src/shared/ip.ts";

const ROUNDS = 20_000;
export const RACE_MAX = 2;
export const RACE_CLIENTS = Array.from({ length: 5 }, (_, i) => parseIp(`10.0.0.${i}`)!);

/** Enters and leaves as often as it can. @returns how often it saw more connections of a client than are allowed. */
export function race(memory: SharedArrayBuffer, number: number): number {
  const counts = new ClientCounts(memory);
  let broken = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const ip = RACE_CLIENTS[(i * (number + 1)) % RACE_CLIENTS.length]!;
    if (!counts.enter(ip, RACE_MAX)) continue;
    const count = counts.count(ip);
    if (count < 1 || count > RACE_MAX) broken++;
    counts.leave(ip);
  }
  return broken;
}
