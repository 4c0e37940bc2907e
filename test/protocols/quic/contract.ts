// What every driver of QUIC must do (src/protocols/quic/transport.ts), as tests over who plays the client and who the server.
// Called by contract.test.ts for each pair of drivers.

import { describe } from "bun:test";

import { holdToContract } from "../wire/contract.ts";
import { closing } from "./contract/closing.ts";
import { handshakes, resumption } from "./contract/handshakes.ts";
import { paths } from "./contract/paths.ts";
import { streams } from "./contract/streams.ts";
import { Link, type Players } from "./harness.ts";

/** What only some drivers do, because of what is below them. */
export interface Traits {
  /** Clients take up sessions and send early data, and servers take both. */
  readonly earlyData: boolean;
}

/** Declares the tests. */
export function holdToSeam(players: Players, traits: Traits): void {
  describe("a stream is a wire: its", () => {
    holdToContract(async (watermarks) => {
      const link = await Link.make(players, { watermarks }, { watermarks });
      const { client, server } = await link.streams();
      return { client, server, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
    });
  });
  describe("streams", () => streams(players));
  describe("handshakes", () => handshakes(players));
  if (traits.earlyData) describe("early data", () => resumption(players));
  describe("closing", () => closing(players));
  describe("paths", () => paths(players));
}
