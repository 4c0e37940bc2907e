// Holds the drivers of QUIC to the seam: each against itself, and each against the other. What node:quic cannot do stands in two
// tables, with what is in the way; src/protocols/quic/bun/driver.ts says what that means to users.

import { describe } from "bun:test";

import { pickDriver } from "../../../src/protocols/quic/pick.ts";
import { TestHost } from "../../support/gateway-host.ts";
import { holdToSeam } from "./contract.ts";

const quiche = pickDriver("quiche", new TestHost());
const bun = pickDriver("bun", new TestHost());

const REFUSED = "who fails before the handshake is over is not told of";

const BUN_SERVER = {
  "stopSending tells the writer its code, and the other direction goes on":
    "STOP_SENDING is not told apart from the end of writing",
  "streams that are reset leave room for others, and for the connection's bytes":
    "streams that are reset still count",
  "no more streams are opened than the peer allows, and it is told when more are":
    "streams that are over still count",
  "request: a certificate that is not trusted is refused": REFUSED,
  "require: a certificate that is not trusted is refused": REFUSED,
  "require: a client without a certificate is refused": REFUSED,
  "a client that offers no protocol in common is refused": REFUSED,
  "a client that is not accepted is not answered": "`onAccept` is asked when the handshake is over",
  "a client that goes silent is told of after the handshake timeout": REFUSED,
  "a client whose server has forgotten it is told so":
    "stateless resets have tokens that clients do not know",
  "a connection without packets is over after its idle time, for both":
    "an idle end is not told apart from another",
  "an endpoint that closes takes nobody new, keeps its clients, and frees its address behind them":
    "the address is not free within seconds of the last client",
  "a client that comes again sends early data, which is told apart": "sessions are not taken up",
  "a client that does not ask for it sends none": "sessions are not taken up",
  "a server with other certificates of clients takes no session of before":
    "the authorities of clients stay as they were at the start",
  "a packet of a connection that is not known is answered with a stateless reset":
    "the token is another one each time",
  "an address that is not proved gets no more than three times what it sent": REFUSED,
};

const BUN_CLIENT = {
  "stopSending tells the writer its code, and the other direction goes on":
    "STOP_SENDING is not told apart from the end of writing",
  "stopSending ends the stream of a writer that knows no better":
    "STOP_SENDING is not told apart from the end of writing",
  "streams that are reset leave room for others, and for the connection's bytes":
    "streams that are reset still count",
  "an address as server name is verified, and not sent":
    "localhost is asked for in place of an address",
  "a client that is not accepted is not answered": "a handshake ends with the idle time only",
  "a server that says nothing is given up after the handshake timeout":
    "a handshake ends with the idle time only",
  "a client that comes again sends early data, which is told apart": "sessions are not taken up",
  "a client that does not ask for it sends none": "sessions are not taken up",
  "close tells the peer its code and reason, after its streams, and nobody else":
    "streams that the close ends are told of as reset",
  "a client whose server has forgotten it is told so": "a stateless reset is no error",
  "a connection without packets is over after its idle time, for both":
    "an idle end is not told apart from another",
  "an endpoint that closes takes nobody new, keeps its clients, and frees its address behind them":
    "a handshake ends with the idle time only",
};

const BUN_BOTH = {
  ...BUN_SERVER,
  ...BUN_CLIENT,
  "keys are logged where somebody asks for them": "of two in one process, neither logs",
  "request: a client without a certificate is let in": "a client of it does not come without one",
};

describe("quiche with quiche", () => holdToSeam({ client: quiche, server: quiche }));
describe("bun with bun", () => holdToSeam({ client: bun, server: bun }, BUN_BOTH));
describe("quiche with bun", () => holdToSeam({ client: quiche, server: bun }, BUN_SERVER));
describe("bun with quiche", () => holdToSeam({ client: bun, server: quiche }, BUN_CLIENT));
