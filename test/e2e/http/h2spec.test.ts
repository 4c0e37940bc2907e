// The conformance suite of HTTP/2 through the whole proxy, with a backend that speaks HTTP/1.1 and takes its time.

import { createServer } from "node:http";

import { withGateway } from "../../support/gateway.ts";
import { runH2spec } from "../../support/h2spec.ts";
import { testWith } from "../../support/programs.ts";

/** Some tests send frames for streams that are not answered yet. */
const LATER_MS = 20;

async function withSlowBackend(use: (target: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => setTimeout(() => response.end("hello, later\n"), LATER_MS));
    request.on("error", () => response.destroy());
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  try {
    await use(`127.0.0.1:${(server.address() as { port: number }).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

for (const [name, tls] of [
  ["in clear", false],
  ["over TLS", true],
] as const) {
  testWith(
    ["h2spec", "openssl"],
    `h2spec --strict passes entirely ${name}`,
    () =>
      withSlowBackend((target) =>
        withGateway({ target }, { complains: true }, async ({ port, tlsPort }) => {
          await runH2spec({ host: "127.0.0.1", port: tls ? tlsPort : port, tls });
        }),
      ),
    180_000,
  );
}
