// Ends that come right behind bytes: the kernel's receive that goes on (multishot) loses one in some thousand of them, and the
// engine must not. It depends on the moment, so each client waits at random before it speaks.

import { describe, expect, test } from "bun:test";

import { inFolder } from "../../support/daemon.ts";
import { ENGINES } from "../../support/engines.ts";
import { Relay } from "../../support/relay.ts";
import { until, within } from "../../support/until.ts";

const CONNECTIONS = 3_000;
/** Rounds of `spin`: some hundred microseconds before the bytes, a few before the end. */
const WAIT_MAX = 100_000;
const PAUSE_MAX = 1_000;
const REQUEST = Buffer.from("a request and its end\n");

type Address = { unix: string } | { hostname: string; port: number };

interface Peer {
  write(bytes: Buffer): void;
  shutdown(): void;
  terminate(): void;
  end(): void;
}

let spun = 0;

function spin(rounds: number): void {
  for (let i = 0; i < rounds; i++) spun += i;
}

/** Says nothing, and ends when the client has ended. Plain runtime sockets, which are quick. */
function silentServer(at: Address): { port: number; stop(): void } {
  const socket = { data(): void {}, end: (peer: Peer): void => peer.end() };
  const options = { ...at, allowHalfOpen: true, socket };
  const server = Bun.listen(options as unknown as Parameters<typeof Bun.listen>[0]);
  return { port: "port" in server ? Number(server.port) : 0, stop: () => server.stop(true) };
}

/** Sends a request and at once a FIN, or a reset; settles when the connection is over. */
function once(at: Address, reset: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = {
      open(client: Peer): void {
        spin(Math.random() * WAIT_MAX);
        client.write(REQUEST);
        spin(Math.random() * PAUSE_MAX);
        if (reset) client.terminate();
        else client.shutdown();
      },
      data(): void {},
      end: (client: Peer): void => client.end(),
      close: (): void => resolve(),
      connectError: (_client: unknown, error: Error): void => reject(error),
    };
    const options = { ...at, allowHalfOpen: true, socket };
    void Bun.connect(options as unknown as Parameters<typeof Bun.connect>[0]).catch(reject);
  });
}

async function many(at: Address, reset: boolean): Promise<void> {
  for (let i = 0; i < CONNECTIONS; i++) await once(at, reset);
  expect(spun).toBeGreaterThan(0);
}

describe.if(ENGINES.includes("uring"))("ends right behind bytes, under uring", () => {
  test(
    "a FIN on a unix socket always arrives",
    () =>
      inFolder(async (folder) => {
        const server = silentServer({ unix: `${folder}/target` });
        try {
          await using relay = await Relay.start("uring", {
            listen: `unix:${folder}/listen`,
            target: `unix:${folder}/target`,
          });
          await within("all ends", many({ unix: `${folder}/listen` }, false), 40_000);
          await until("no row is left", () => relay.proxy.connections().length === 0);
          expect(relay.stats.bytesUp).toBe(CONNECTIONS * REQUEST.length);
        } finally {
          server.stop();
        }
      }),
    60_000,
  );

  test("a reset on TCP always arrives, though nobody writes to the client any more", async () => {
    const server = silentServer({ hostname: "127.0.0.1", port: 0 });
    try {
      await using relay = await Relay.start("uring", { target: `127.0.0.1:${server.port}` });
      const { bound } = relay;
      const port = bound.kind === "ip" ? bound.port : 0;
      await within("all resets", many({ hostname: "127.0.0.1", port }, true), 40_000);
      await until("no row is left", () => relay.proxy.connections().length === 0);
    } finally {
      server.stop();
    }
  }, 60_000);
});
