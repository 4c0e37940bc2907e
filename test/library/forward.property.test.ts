// Whatever is written in whatever order, paused and half-closed, arrives as it was sent. Failures print their seed.
import { expect, test } from "bun:test";

import * as fc from "fast-check";

import { forward } from "../../src/library/forward.ts";
import { streamBytes } from "../support/bytes.ts";
import { within } from "../support/until.ts";
import type { Wire } from "../support/wire.ts";
import { makeEnds } from "./support/pairs.ts";

const side = fc.constantFrom("client", "server");
const step = fc.oneof(
  fc.record({ do: fc.constant("write"), side, bytes: fc.nat({ max: 400_000 }) }),
  fc.record({ do: fc.constantFrom("pause", "resume", "end"), side }),
  fc.record({ do: fc.constant("yield") }),
);
type Step = { do: string; side?: "client" | "server"; bytes?: number };

const SEEDS = { client: 11, server: 12 } as const;

async function play(
  steps: readonly Step[],
  ends: { client: Wire; server: Wire },
): Promise<[number, number]> {
  const sent = { client: 0, server: 0 };
  const ended = { client: false, server: false };
  for (const { do: action, side: who, bytes = 0 } of steps) {
    if (who === undefined) await new Promise(setImmediate);
    else if (action === "pause") ends[who].socket.pause();
    else if (action === "resume") ends[who].socket.resume();
    else if (!ended[who] && action === "write") {
      ends[who].socket.write(streamBytes(SEEDS[who], sent[who], bytes));
      sent[who] += bytes;
    } else if (!ended[who]) {
      ended[who] = true;
      ends[who].end();
    }
  }
  for (const who of ["client", "server"] as const) {
    ends[who].socket.resume();
    if (!ended[who]) ends[who].end();
  }
  return [sent.client, sent.server];
}

for (const splice of process.platform === "linux" ? [true, false] : [false]) {
  test(`any interleaving of writes, pauses and half-closes arrives intact (splice: ${splice})`, async () => {
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.nat({ max: 5_000 }),
      async (steps, ahead) => {
        await using ends = await makeEnds();
        const { client, server, a, b } = ends;
        // Some bytes are read and put back before the relay begins.
        const early = streamBytes(SEEDS.client, 0, ahead);
        const later: Step[] =
          ahead === 0 ? steps : [{ do: "write", side: "client", bytes: ahead }, ...steps];
        const played = play(later, ends);
        if (ahead > 0) {
          const chunk = (await a.read())!;
          expect(early.subarray(0, chunk.length).equals(chunk.subarray(0, ahead))).toBe(true);
          a.unread(chunk);
        }
        const relayed = forward(a, b, { splice });
        const [up, down] = await played;
        const arrived = [
          server.expectStream(SEEDS.client, up),
          client.expectStream(SEEDS.server, down),
        ];
        await within("both streams", Promise.all(arrived));
        expect(await relayed).toEqual({ bytesUp: up, bytesDown: down });
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
}
