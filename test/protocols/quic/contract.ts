// What every driver of QUIC must do (src/protocols/quic/transport.ts), as tests over who plays the client and who the server.
// Called by contract.test.ts for each pair of drivers.

import { describe, expect, test } from "bun:test";

import { holdToContract } from "../wire/contract.ts";
import { closing } from "./contract/closing.ts";
import { handshakes, resumption } from "./contract/handshakes.ts";
import { paths } from "./contract/paths.ts";
import { streams } from "./contract/streams.ts";
import { Link, type Players, TRANSPORT } from "./harness.ts";

/**
 * Declares the tests.
 * @param lacks names of tests that are left out for this pair, each with the reason. A name that no test has is an error.
 */
export function holdToSeam(
  drivers: Pick<Players, "client" | "server">,
  lacks: Readonly<Record<string, string>> = {},
): void {
  const left = new Set(Object.keys(lacks));
  const players: Players = {
    ...drivers,
    test: (name, body, timeoutMs) => {
      if (!left.delete(name)) test(name, body, timeoutMs);
    },
  };
  describe("a stream is a wire: its", () => {
    holdToContract(async (watermarks) => {
      // Few, so that each may have its whole window at once.
      const transport = { ...TRANSPORT, bidirectionalStreams: 4, unidirectionalStreams: 0 };
      const link = await Link.make(players, { watermarks, transport }, { watermarks });
      const { client, server } = await link.streams();
      return { client, server, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
    });
  });
  describe("streams", () => streams(players));
  describe("handshakes", () => handshakes(players));
  describe("resumption", () => resumption(players));
  describe("closing", () => closing(players));
  describe("paths", () => paths(players));
  test("every test that is left out exists", () => expect([...left]).toEqual([]));
}
