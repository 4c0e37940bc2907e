// socat through the proxy: a client that ends its direction and waits for an answer that can only come after that end.

import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";

import { CliRelay } from "../support/cli-relay.ts";
import { Daemon, run } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { program, testWith } from "../support/programs.ts";

const BYTES = 8_000_001;
/** How long socat waits for the other direction after one has ended, in seconds. */
const PATIENCE = ["-t", "20"];

forEveryEngine((engine) => {
  for (const kind of ["tcp", "unix"] as const) {
    testWith(
      ["socat"],
      `socat half-closes over ${kind} and gets its answer (${engine})`,
      async () => {
        // sha256sum answers when its input ends, and only then.
        await using server = await Daemon.start(
          (folder, port) => [
            program("socat"),
            ...PATIENCE,
            kind === "tcp"
              ? `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`
              : `UNIX-LISTEN:${join(folder, "target.sock")},fork`,
            "SYSTEM:sha256sum",
          ],
          kind === "unix" ? { socket: "target.sock" } : {},
        );
        const target =
          kind === "tcp"
            ? `127.0.0.1:${server.port}`
            : `unix:${join(server.folder, "target.sock")}`;
        const path = join(server.folder, "listen.sock");
        const listen = kind === "tcp" ? "127.0.0.1:0" : `unix:${path}`;
        await using relay = await CliRelay.start(engine, target, listen);
        const address = kind === "tcp" ? `TCP:127.0.0.1:${relay.port}` : `UNIX-CONNECT:${path}`;
        for (const size of [0, 1, BYTES]) {
          const bytes = randomBytes(size);
          const hash = createHash("sha256").update(bytes).digest("hex");
          const client = [program("socat"), ...PATIENCE, "STDIO", address];
          const { stdout } = await run(client, { stdin: bytes });
          expect(stdout.trim(), `${size} bytes`).toBe(`${hash}  -`);
        }
      },
    );
  }
});
