// The corpus of request smuggling through the whole proxy: what reaches a backend that notes every byte is what the corpus says,
// and nothing else.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import type { SmugglingCase } from "../../protocols/http/smuggling/case.ts";
import { CORPUS } from "../../protocols/http/smuggling/corpus.ts";
import { joinChunks } from "../../protocols/http/smuggling/whole.ts";
import { Gateway } from "../../support/gateway.ts";
import { NotingBackend } from "../../support/noting-backend.ts";
import { until } from "../../support/until.ts";
import { Wire } from "../../support/wire.ts";

let backend: NotingBackend;
let gateway: Gateway;

beforeAll(async () => {
  backend = await NotingBackend.start();
  // What the proxy adds by itself would stand between the corpus's lines.
  const forwarded = { x_forwarded: false, via: false, request_id: false };
  gateway = await Gateway.start({ target: backend.target, forwarded }, { complains: true });
});

afterAll(async () => {
  backend[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
});

/** Sends the bytes, and waits for as many answers as there must be, or for the end if something is refused. */
async function attack({ bytes, forwarded = [], status }: SmugglingCase): Promise<number[]> {
  backend.forget();
  const client = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
  let answers = "";
  client.onData((chunk) => (answers += chunk.toString("latin1")));
  const statuses = (): number[] =>
    [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map((match) => Number(match[1]));
  await client.write(Buffer.from(bytes, "latin1"));
  if (status === undefined) {
    await until("every request is answered", () => statuses().length >= forwarded.length);
    client.socket.end(); // what is not whole is given up
  }
  await client.ending;
  client.socket.destroy();
  await until("the backend has seen the end of what is cut", () => backend.rests);
  return statuses();
}

for (const [kind, cases] of Object.entries(CORPUS)) {
  describe(kind, () => {
    for (const given of cases) {
      const { forwarded = [], cut = "", status } = given;
      test(given.name, async () => {
        const statuses = await attack(given);
        const expected = forwarded.map(() => 200);
        expect(statuses).toEqual(status === undefined ? expected : [...expected, status]);
        expect(backend.requests.map(joinChunks)).toEqual(forwarded.map(joinChunks));
        // How much of a body goes before its fault is seen depends on how the bytes arrive.
        const head = cut.slice(0, cut.indexOf("\r\n\r\n") + 4);
        expect(backend.cuts.filter((text) => cut === "" || !text.startsWith(head))).toEqual([]);
      });
    }
  });
}
