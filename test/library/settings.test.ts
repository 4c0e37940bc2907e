// Socket options, as the system reports them afterwards (getsockopt(2)).

import { describe, expect, test } from "bun:test";

import { libc } from "../../src/ffi/libc.ts";
import type { Conn } from "../../src/library/conn.ts";
import { dial } from "../../src/library/dial.ts";
import { listen } from "../../src/library/listen.ts";
import { optimizeTcpConn } from "../../src/library/settings.ts";
import { BOUNDS } from "../../src/shared/limits.ts";
import { LogLines } from "../support/log-lines.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { makeConn, wireAddress } from "./support/pairs.ts";

const SOL_SOCKET = 1;
const IPPROTO_TCP = 6;
const OPTIONS = {
  SO_SNDBUF: [SOL_SOCKET, 7],
  SO_RCVBUF: [SOL_SOCKET, 8],
  SO_KEEPALIVE: [SOL_SOCKET, 9],
  TCP_NODELAY: [IPPROTO_TCP, 1],
  TCP_KEEPIDLE: [IPPROTO_TCP, 4],
  TCP_KEEPINTVL: [IPPROTO_TCP, 5],
  TCP_NOTSENT_LOWAT: [IPPROTO_TCP, 25],
} as const;

function option(conn: Conn, name: keyof typeof OPTIONS): number {
  const [level, number] = OPTIONS[name];
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  if (libc.getsockopt(conn.fd!, level, number, value, length) < 0) throw new Error(name);
  return value[0]!;
}

describe.if(process.platform === "linux")("socket options", () => {
  test("by default: no delay, keepalive of 30 s, the system's own buffers", async () => {
    await using pair = await makeConn();
    const { conn } = pair;
    expect(option(conn, "TCP_NODELAY")).toBe(1);
    expect(option(conn, "SO_KEEPALIVE")).toBe(1);
    expect([option(conn, "TCP_KEEPIDLE"), option(conn, "TCP_KEEPINTVL")]).toEqual([30, 30]);
    expect(option(conn, "TCP_NOTSENT_LOWAT")).toBe(0);
  });

  test("what `listen` and `dial` are told is set on their connections", async () => {
    const settings = {
      noDelay: false,
      keepAlive: 7_000,
      sendBufferSize: 100_000,
      recvBufferSize: 90_000,
      notsentLowat: 20_000,
    };
    await using server = await WireServer.listen();
    await using listener = await listen("127.0.0.1:0", settings);
    const peer = await Wire.connect(wireAddress(listener.addr));
    const accepted = (await listener.accept())!;
    const dialled = await dial(server.target, settings);
    for (const conn of [accepted, dialled]) {
      expect(option(conn, "TCP_NODELAY")).toBe(0);
      expect([option(conn, "TCP_KEEPIDLE"), option(conn, "TCP_KEEPINTVL")]).toEqual([7, 7]);
      // The kernel doubles what it is given, for its own bookkeeping (socket(7)).
      expect(option(conn, "SO_SNDBUF")).toBe(200_000);
      expect(option(conn, "SO_RCVBUF")).toBe(180_000);
      expect(option(conn, "TCP_NOTSENT_LOWAT")).toBe(20_000);
      conn.reset();
    }
    peer.destroy();
  });

  test("keepAlive 0 sends no probes", async () => {
    await using pair = await makeConn({ keepAlive: 0 });
    expect(option(pair.conn, "SO_KEEPALIVE")).toBe(0);
  });

  test("optimizeTcpConn sets what it says and warns of nothing here", async () => {
    await using pair = await makeConn({ noDelay: false, keepAlive: 0 });
    const { conn } = pair;
    // Its buffers are beyond what some systems give.
    expect(optimizeTcpConn(conn).filter((warning) => !warning.includes("net.core"))).toEqual([]);
    expect(option(conn, "TCP_NODELAY")).toBe(1);
    expect([option(conn, "SO_KEEPALIVE"), option(conn, "TCP_KEEPIDLE")]).toEqual([1, 30]);
    expect(option(conn, "SO_SNDBUF")).toBeGreaterThanOrEqual(256 * 1024);
    expect(optimizeTcpConn(conn, { sendBufferSize: 50_000 })).toEqual([]);
    expect(option(conn, "SO_SNDBUF")).toBe(100_000);
  });

  test("buffers beyond the system's limit are said by `listen` and `optimizeTcpConn`", async () => {
    const lines = new LogLines();
    const beyond = { sendBufferSize: BOUNDS.socketBufferMax };
    await using _ = await listen("127.0.0.1:0", { ...beyond, log: lines.log });
    await using pair = await makeConn();
    const said = optimizeTcpConn(pair.conn, beyond);
    const cut = `is cut to ${option(pair.conn, "SO_SNDBUF") / 2} by the system`;
    expect(said).toEqual([expect.stringContaining(cut)]);
    expect(lines.lines.map(({ message }) => message)).toEqual(said);
  });

  test("optimizeTcpConn refuses a connection without a TCP descriptor", async () => {
    await using pair = await makeConn();
    pair.conn.reset();
    await pair.conn.closed;
    expect(() => optimizeTcpConn(pair.conn)).toThrow("has no TCP descriptor");
  });
});
