// What every driver of QUIC must do (src/protocols/quic/transport.ts), as tests over who plays the client and who the server.
// Called by contract.test.ts for each pair of drivers.

import { describe } from "bun:test";

import { holdToContract } from "../wire/contract.ts";
import { closing } from "./contract/closing.ts";
import { handshakes } from "./contract/handshakes.ts";
import { streams } from "./contract/streams.ts";
import { Link, type Players } from "./harness.ts";

/** What a driver cannot do because of what is below it. */
export interface Traits {
  /** Its clients take up sessions, and send early data. */
  readonly earlyData: boolean;
}

/** Declares the tests. */
export function holdToSeam(players: Players): void {
  describe("a stream is a wire: its", () => {
    holdToContract(async (watermarks) => {
      const link = await Link.make(players, { watermarks }, { watermarks });
      const { client, server } = await link.streams();
      return { client, server, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
    });
  });
  describe("streams", () => streams(players));
  describe("handshakes", () => handshakes(players));
  describe("closing", () => closing(players));
}
