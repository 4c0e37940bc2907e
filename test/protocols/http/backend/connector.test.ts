// What a connection to a target must be before a pool gets it.

import { expect, test } from "bun:test";

import { within } from "../../../../src/protocols/http/backend/connector.ts";
import type { Connected } from "../../../../src/protocols/wire/open.ts";
import { MemoryWire } from "../h1/support/memory-wire.ts";

class Numbered extends MemoryWire {
  override readonly fd: number;

  constructor(fd: number) {
    super();
    this.fd = fd;
  }
}

/** @returns what a pool is told of these, where descriptors below 10 may be taken. */
function told(...outcomes: readonly Parameters<Connected>[]): (string | undefined)[] {
  const codes: (string | undefined)[] = [];
  for (const outcome of outcomes) {
    const connect = within(
      (fd) => fd < 10,
      (done) => {
        done(...outcome);
        return { cancel() {} };
      },
    );
    connect((wire, error) => codes.push(wire === null ? error!.code : "connected"));
  }
  return codes;
}

test("the last descriptors are not taken by connections to targets", () => {
  const [low, high] = [new Numbered(9), new Numbered(10)];
  expect(told([low, null], [high, null])).toEqual(["connected", "EMFILE"]);
  expect([low.wasReset, high.wasReset]).toEqual([false, true]);
});

test("errors stay what they are", () => {
  const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  expect(told([null, refused])).toEqual(["ECONNREFUSED"]);
});
