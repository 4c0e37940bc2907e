// A thousand clients that stall in every way at once, HTTP/2 among them: others are served meanwhile, memory stays bounded, and
// those who stall are ended.

import { expect } from "bun:test";

import { curl, WAYS } from "../../support/curl.ts";
import { type Gateway, SMALL, STAGE_PROGRAMS, withStage } from "../../support/gateway.ts";
import { residentBytes } from "../../support/proc.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";
import { Wire } from "../../support/wire.ts";

const STALLED = 1_000;
/** More than the proxy may hold on average; what the kernel holds of it is memory of all programs (tcp(7), tcp_mem). */
const LARGE = new Uint8Array(2_000_000).fill(0x2a);
const SMALL_BUFFERS = { send_buffer: "64KB", receive_buffer: "64KB" };
/**
 * What a stalled client may cost on average: who does not read, one in six, holds one read of the runtime, half a MiB at most,
 * until all together hold WIRE.heldBytes, and little more than a sip from then on; so does who gives no window.
 */
const EACH_BYTES = 192 * 1024;

const HEAD = "HTTP/1.1\r\nHost: localhost\r\n";
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function frame(
  type: number,
  flags: number,
  stream: number,
  payload: readonly number[] = [],
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, Buffer.from(payload)]);
}

/** GET of the path, on localhost, as literals of HPACK without Huffman (RFC 7541 section 6.2.2). */
function block(path: string): number[] {
  const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
  return [0x82, 0x86, 0x04, ...text(path), 0x01, ...text("localhost")];
}

const SETTINGS = 0x4;
const HEADERS = 0x1;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
/** SETTINGS_INITIAL_WINDOW_SIZE of 0: nothing of a body may be sent. */
const NO_WINDOW = [0, 4, 0, 0, 0, 0];

/** What one sends, and then no more; whether it reads the answer. */
interface Stall {
  readonly name: string;
  readonly bytes: string | Buffer;
  readonly reads: boolean;
}

const STALLS: readonly Stall[] = [
  { name: "says nothing", bytes: "", reads: true },
  { name: "does not end its head", bytes: `GET /nginx/small ${HEAD}X-A: b`, reads: true },
  {
    name: "does not end its body",
    bytes: `POST /node/sum ${HEAD}Content-Length: 1000000\r\n\r\nabc`,
    reads: true,
  },
  { name: "does not read", bytes: `GET /nginx/large ${HEAD}\r\n`, reads: false },
  {
    name: "does not end its head, in HTTP/2",
    bytes: Buffer.concat([
      Buffer.from(PREFACE),
      frame(SETTINGS, 0, 0),
      frame(HEADERS, END_STREAM, 1, block("/nginx/small")),
    ]),
    reads: true,
  },
  {
    name: "gives no window",
    bytes: Buffer.concat([
      Buffer.from(PREFACE),
      frame(SETTINGS, 0, 0, NO_WINDOW),
      frame(HEADERS, END_STREAM | END_HEADERS, 1, block("/nginx/large")),
    ]),
    reads: true,
  },
];

async function stall(gateway: Gateway, { bytes, reads }: Stall): Promise<Wire> {
  const wire = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
  if (!reads) wire.socket.pause();
  if (bytes.length > 0) await wire.write(bytes);
  return wire;
}

async function stallThousand(gateway: Gateway): Promise<Wire[]> {
  const wires: Wire[] = [];
  for (let i = 0; i < STALLED; i++) wires.push(await stall(gateway, STALLS[i % STALLS.length]!));
  return wires;
}

testWith(
  [...STAGE_PROGRAMS, "curl"],
  "a thousand clients that stall cost bounded memory, and others are served",
  () =>
    withStage(
      { files: { large: LARGE }, keys: { socket: SMALL_BUFFERS }, complains: true },
      async (gateway) => {
        for (const way of WAYS) await curl(way, gateway, "/nginx/small");
        const before = residentBytes(gateway.pid);
        const wires = await stallThousand(gateway);
        for (const way of WAYS) {
          const { stdout } = await curl(
            way,
            gateway,
            ["/nginx/small", "/node/request"],
            "-m",
            "30",
          );
          expect(stdout).toStartWith(SMALL);
        }
        expect(residentBytes(gateway.pid) - before).toBeLessThan(STALLED * EACH_BYTES);
        for (const wire of wires) wire.socket.destroy();
      },
    ),
  120_000,
);

const ALL = { head: "2s", keepalive: "2s", idle: "20s" };

testWith(
  STAGE_PROGRAMS,
  "who stalls is ended",
  () =>
    withStage(
      {
        files: { large: LARGE },
        keys: { timeouts: ALL, limits: { min_rate: "10KB/s" }, socket: SMALL_BUFFERS },
        complains: true,
      },
      async (gateway) => {
        const wires = await Promise.all(STALLS.map((each) => stall(gateway, each)));
        const open = new Set(STALLS.map(({ name }) => name));
        for (const [i, wire] of wires.entries()) {
          void wire.closed.then(() => open.delete(STALLS[i]!.name));
          void wire.ending.then(() => wire.socket.end());
        }
        // A socket that is not read is not told of its end.
        await until("the last minimum is missed", () => open.size <= 1, 40_000);
        for (const wire of wires) wire.socket.resume();
        await until("everybody is ended", () => open.size === 0, 10_000);
      },
    ),
  120_000,
);
