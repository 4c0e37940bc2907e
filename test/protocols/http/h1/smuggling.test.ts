// The corpus of request smuggling through Http1Server and Http1Backend with as little as can stand between them: the client's
// bytes go in, whole and in pieces, and nothing may come out to the backend but what the case says.

import { describe, expect, test } from "bun:test";

import { Http1Backend } from "../../../../src/protocols/http/h1/backend.ts";
import { Http1Server } from "../../../../src/protocols/http/h1/server.ts";
import type { SmugglingCase } from "../smuggling/case.ts";
import { CORPUS } from "../smuggling/corpus.ts";
import { isWhole, joinChunks } from "../smuggling/whole.ts";
import { MemoryWire, settled } from "./support/memory-wire.ts";
import { MiniExchange } from "./support/mini-relay.ts";
import { backendSetup, serverSetup } from "./support/setups.ts";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

interface Outcome {
  readonly forwarded: string[];
  readonly cut: string | null;
  readonly status: number | null;
  readonly closed: boolean;
}

/** Every request gets a connection to the backend of its own, so that what reaches it is told apart by the connection. */
async function run(pieces: readonly string[]): Promise<Outcome> {
  const client = new MemoryWire();
  const wires: MemoryWire[] = [];
  const setup = serverSetup(client, (stream, head) => {
    const wire = new MemoryWire();
    wires.push(wire);
    const exchange = new MiniExchange(stream, head);
    exchange.start(new Http1Backend(backendSetup(wire)), head);
  });
  const server = new Http1Server(setup);
  let answered = 0;
  /** The backend answers once it has a whole request: then nothing is left to be sent. */
  const answer = async (): Promise<void> => {
    await settled();
    for (; answered < wires.length && isWhole(wires[answered]!.sent); answered++) {
      wires[answered]!.feed(ANSWER);
      await settled();
    }
  };
  for (const piece of pieces) {
    client.feed(piece);
    if (pieces.length < 4) await answer();
  }
  await answer();
  client.feedEnd();
  await settled();
  const refusal = client.writes.findLast((text) => /^HTTP\/1\.1 (?!100)/.test(text)) ?? "";
  const status = Number(refusal.slice(9, 12));
  server.destroy();
  return {
    forwarded: wires.slice(0, answered).map((wire) => wire.sent),
    cut: answered < wires.length && wires.at(-1)!.wasReset ? wires.at(-1)!.sent : null,
    status: status >= 400 ? status : null,
    closed: client.hasEnded || client.wasReset,
  };
}

function split(bytes: string, size: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

async function check(given: SmugglingCase, size: number): Promise<void> {
  const outcome = await run(split(given.bytes, size));
  const { forwarded = [], cut = null, status = null } = given;
  expect(outcome.forwarded.map(joinChunks)).toEqual(forwarded.map(joinChunks));
  expect(outcome.status).toBe(status);
  if (status !== null) expect(outcome.closed).toBe(true);
  if (cut === null) expect(outcome.cut).toBeNull();
  else {
    // How much of a body went before its fault was seen depends on the pieces; that its end did not, does not.
    expect(outcome.cut).toStartWith(cut.slice(0, cut.indexOf("\r\n\r\n") + 4));
    expect(isWhole(outcome.cut!)).toBe(false);
  }
}

test("the corpus has at least 150 cases, each with a name of its own", () => {
  const names = Object.entries(CORPUS).flatMap(([kind, cases]) =>
    cases.map(({ name }) => `${kind}: ${name}`),
  );
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(150);
});

for (const [kind, cases] of Object.entries(CORPUS)) {
  describe(kind, () => {
    for (const given of cases) {
      test(given.name, async () => {
        await check(given, given.bytes.length);
        await check(given, 1);
        await check(given, 7);
      });
    }
  });
}
