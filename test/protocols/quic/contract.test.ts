// Holds the drivers of QUIC to the seam: each against itself, and each against the other.

import { describe } from "bun:test";

import { pickDriver } from "../../../src/protocols/quic/pick.ts";
import { TestHost } from "../../support/gateway-host.ts";
import { holdToSeam } from "./contract.ts";

const quiche = pickDriver("quiche", new TestHost());

describe("quiche with quiche", () => holdToSeam({ client: quiche, server: quiche }));
