// The conformance suite of HTTP/2 against a client's connection in clear.

import { H2TestServer } from "../../../support/h2-server.ts";
import { helloLater } from "../../../support/h2-takers.ts";
import { runH2spec } from "../../../support/h2spec.ts";
import { testWith } from "../../../support/programs.ts";

testWith(
  ["h2spec"],
  "h2spec --strict passes entirely in clear",
  async () => {
    using server = new H2TestServer(helloLater);
    await runH2spec({ host: "127.0.0.1", port: server.port, tls: false });
  },
  150_000,
);
