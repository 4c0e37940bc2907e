// A thousand clients that stall, in each way in which a client can: what they cost in memory has a bound, and others are served
// meanwhile.

import { expect, test } from "bun:test";

import { HTTP_DEFAULTS, WIRE } from "../../../src/shared/limits.ts";
import { type Gateway, withGateway } from "../../support/gateway.ts";
import { countDescriptors, residentBytes } from "../../support/proc.ts";
import { until } from "../../support/until.ts";
import { Wire, WireServer } from "../../support/wire.ts";

const CLIENTS = 1_000;
const MIB = 1024 ** 2;
/** Of each connection, once many stall: the watermark, and one sip beyond it; also of the runtime's reads, with these buffers. */
const EACH_BYTES = HTTP_DEFAULTS.highWatermarkBytes + 2 * WIRE.sipBytes;
/** What the proxy needs by itself for so many, and what its collector has not looked at yet. */
const BASE_BYTES = WIRE.heldBytes + 64 * MIB;

const CHUNK = Buffer.alloc(64 * 1024, "x");
/**
 * What each sends: more than the proxy may hold. Loopback's segments of 64 KiB make the kernel's own queues megabytes long,
 * and those of a thousand would leave other programs of the machine without memory for TCP (tcp(7), tcp_mem): hence an end,
 * and small buffers.
 */
const SENT_CHUNKS = 24;
const SMALL_BUFFERS = { send_buffer: "64KB", receive_buffer: "64KB" };

function pump(wire: Wire): void {
  let left = SENT_CHUNKS;
  const go = (): void => {
    while (!wire.socket.destroyed && left > 0) {
      left--;
      if (!wire.socket.write(CHUNK)) return;
    }
  };
  wire.socket.on("drain", go);
  go();
}

/** Answers `/small` at once, other requests with a body that never is complete, and reads no bodies. */
function backend(): Promise<WireServer> {
  return WireServer.listen((wire) => {
    let heard = "";
    wire.onData((chunk) => {
      heard += chunk.toString("latin1", 0, 1_024);
      if (!heard.includes("\r\n\r\n")) return;
      const path = heard.split(" ", 2)[1];
      heard = "";
      if (path === "/small") {
        wire.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      } else if (path === "/upload") wire.socket.pause();
      else {
        wire.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n");
        pump(wire);
      }
    });
  });
}

const request = (method: string, path: string, more = ""): string =>
  `${method} ${path} HTTP/1.1\r\nhost: a.example\r\n${more}\r\n`;

/** Nothing moves any more. */
async function isStill(gateway: Gateway): Promise<void> {
  let last = -1;
  let same = 0;
  await until(
    "everything stalls",
    () => {
      const now = residentBytes(gateway.pid);
      same = Math.abs(now - last) < MIB ? same + 1 : 0;
      last = now;
      return same >= 200;
    },
    90_000,
  );
}

async function serves(gateway: Gateway): Promise<void> {
  const client = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
  await client.write(request("GET", "/small", "connection: close\r\n"));
  expect(await client.readAll()).toEndWith("\r\n\r\nok");
  client.destroy();
}

const STALLS: Readonly<Record<string, (client: Wire) => void>> = {
  "read none of their answers": (client) => {
    client.socket.pause();
    void client.write(request("GET", "/endless"));
  },
  "send bodies that nobody reads": (client) => {
    void client.write(request("POST", "/upload", "content-length: 1000000000000\r\n"));
    pump(client);
  },
  "send half of their heads": (client) => {
    void client.write(request("GET", "/small").slice(0, -10));
  },
};

for (const [name, stall] of Object.entries(STALLS)) {
  test(`${CLIENTS} clients that ${name} cost a bounded memory`, async () => {
    await using server = await backend();
    const limits = { min_rate: 0 };
    const timeouts = { head: "10m" };
    await withGateway(
      { target: server.target, limits, timeouts, socket: SMALL_BUFFERS },
      { complains: true },
      async (gateway) => {
        const before = residentBytes(gateway.pid);
        const clients: Wire[] = [];
        for (let i = 0; i < CLIENTS; i++) {
          const client = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
          stall(client);
          clients.push(client);
        }
        await isStill(gateway);
        const grown = residentBytes(gateway.pid) - before;
        await serves(gateway);
        expect(countDescriptors(gateway.pid).sockets).toBeGreaterThanOrEqual(CLIENTS);
        expect(grown).toBeLessThan(CLIENTS * EACH_BYTES + BASE_BYTES);
        for (const client of clients) client.reset();
        await until("they are gone", () => countDescriptors(gateway.pid).sockets < 50, 30_000);
      },
    );
  }, 180_000);
}
