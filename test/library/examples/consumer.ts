// An example: every export of the library as its users see it. The consumer test copies this file into a project of its own,
// where it is checked against the package's types and run; `@ts-expect-error` marks what the types must refuse.
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";

import {
  type Addr,
  type AuthorityChoice,
  type AuthorityConfig,
  type AutoCertificate,
  AutoManager,
  type AutoManagerConfig,
  type AutoTlsOptions,
  BUFFER_SIZE_DEFAULT,
  BUFFER_SIZE_LARGE,
  type CertificateStatus,
  clientPreset,
  type Conn,
  type ConnInfo,
  ConnManager,
  type ConnManagerConfig,
  type ConnManagerStats,
  ConnPool,
  type ConnPoolConfig,
  type ConnPoolStats,
  type ConnSettings,
  type CustomDnsProvider,
  defaultAutoManager,
  defaultConnPoolConfig,
  dial,
  type DialOptions,
  type ErrorCode,
  forward,
  type Forwarder,
  type ForwardOptions,
  type ForwardResult,
  handlePair,
  highThroughputPreset,
  listen,
  type Listener,
  type ListenOptions,
  type Log,
  type Mode,
  newForwarder,
  optimizeTcpConn,
  PoolDialer,
  type Protocol,
  ProxyError,
  quickSetup,
  REVOCATION_REASONS,
  serverPreset,
  silentLog,
  tcp,
  Tunnel,
  type TunnelConfig,
  type TunnelPreset,
  type TunnelStats,
  type TxtRecord,
} from "bun-tunnel";

const log: Log = {
  ...silentLog,
  warn: (fields: object, message: string) =>
    void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
};
const mode: Mode = "server";
const presets: TunnelPreset[] = [serverPreset(), clientPreset(), highThroughputPreset()];

async function echo(): Promise<Listener> {
  const options: ListenOptions = { noDelay: true, acceptQueue: 16, log };
  const listener = await listen("127.0.0.1:0", options);
  void (async () => {
    for await (const conn of listener) {
      void (async () => {
        for await (const chunk of conn) await conn.write(chunk);
        await conn.closeWrite();
      })();
    }
  })();
  return listener;
}

async function throughTunnel(target: Addr, protocol: Protocol): Promise<TunnelStats> {
  const config: TunnelConfig = {
    ...presets[0],
    mode,
    listenAddr: "127.0.0.1:0",
    targetAddr: String(target),
    bufferSize: BUFFER_SIZE_LARGE,
    readBufferSize: BUFFER_SIZE_DEFAULT,
    log,
  };
  const tunnel: Tunnel = new Tunnel(config).setProtocol(protocol);
  await tunnel.start({ signal: AbortSignal.timeout(30_000) });
  const options: DialOptions = {
    timeout: 1_000,
    keepAlive: 10_000,
    signal: AbortSignal.timeout(5_000),
  };
  await using conn: Conn = await dial(String(tunnel.addr), options);
  const settings: ConnSettings = { sendBufferSize: 65_536 };
  const warnings: string[] = process.platform === "win32" ? [] : optimizeTcpConn(conn, settings);
  if (warnings.length > 0) log.warn({}, warnings.join("; "));
  await conn.write("through the tunnel");
  await conn.closeWrite();
  let answer = "";
  for (let chunk = await conn.read(); chunk !== null; chunk = await conn.read())
    answer += String(chunk);
  if (answer !== "through the tunnel") throw new Error(answer);
  const { reset }: { reset: number } = await tunnel.stop(5_000);
  if (reset !== 0) throw new Error(`${reset} connections were reset`);
  return tunnel.stats();
}

async function byHand(target: Addr): Promise<ForwardResult> {
  const managerConfig: ConnManagerConfig = { maxConnections: 2, connectionTimeout: 60_000 };
  const manager = new ConnManager(managerConfig);
  const poolConfig: ConnPoolConfig = { ...defaultConnPoolConfig(), maxIdle: 2 };
  const pool: ConnPool = new PoolDialer(String(target), poolConfig).newPool();
  pool.put(await pool.get());
  const poolStats: ConnPoolStats = pool.stats();
  if (poolStats.idle !== 1) throw new Error("nothing is idle");

  const front = await listen("127.0.0.1:0");
  const client = await dial(String(front.addr));
  const accepted = await front.accept();
  if (accepted === null) throw new Error("closed");
  const info: ConnInfo = manager.accept(accepted);
  const options: ForwardOptions = { idleTimeout: 10_000, splice: true };
  const forwarder: Forwarder = newForwarder(options);
  const relayed = forwarder.forward(manager.wrapConn(accepted, info), await pool.get());
  await client.write("12345");
  await client.closeWrite();
  const echoed = await client.read();
  if (String(echoed) !== "12345") throw new Error(String(echoed));
  const result = await relayed;
  const stats: ConnManagerStats = manager.stats();
  if (stats.active !== 0 || !info.isClosed || info.bytesIn !== 5) throw new Error("wrong figures");
  await Promise.all([front.close(), pool.close(), manager.shutdown()]);
  return result;
}

const target = await echo();
const stats = [
  await throughTunnel(target.addr, tcp()),
  await throughTunnel(target.addr, { name: "own", listen, dial, forwarder: newForwarder }),
];
const { bytesUp, bytesDown } = await byHand(target.addr);
await target.close();

try {
  const tunnel = new Tunnel({ protocol: "quic", listenAddr: ":0", targetAddr: "127.0.0.1:1" });
  await tunnel.start();
} catch (error) {
  if (!(error instanceof ProxyError)) throw error;
  const code: ErrorCode = error.code;
  const figures = stats.map(({ bytesReceived, bytesSent }) => bytesReceived + bytesSent);
  process.stdout.write(`${code} ${figures.join(" ")} ${bytesUp + bytesDown}\n`);
}

/** Never called: an authority would be asked. */
export async function automatic(record: TxtRecord): Promise<readonly string[]> {
  const authority: AuthorityConfig = { url: "letsencrypt", profile: "shortlived" };
  const ca: AuthorityChoice[] = [authority, "zerossl", "internal"];
  const dnsProvider: CustomDnsProvider = {
    name: "ours",
    add: async () => record,
    remove: async () => {},
    find: async () => [],
  };
  const config: AutoManagerConfig = { email: "a@example.com", agreeTerms: true, ca, dnsProvider };
  await using manager = new AutoManager(config);
  await manager.addDomains("example.com", ["www.example.com", "*.example.com"]);
  const options: AutoTlsOptions = manager.tlsOptions(["h2", "http/1.1"]);
  createSecureServer({ ...options, allowHTTP1: true }).listen(443);
  createServer(manager.httpHandler()).listen(80);
  const { cert }: AutoCertificate = await manager.getCertificate("example.com");
  const status: CertificateStatus | undefined = manager.cacheStatus()["example.com"];
  await manager.useStaging().useProduction().useZeroSSL().renewAll({ force: true });
  await manager.revoke("example.com", "superseded");
  manager.removeDomains("www.example.com");
  // @ts-expect-error there is no such reason
  await manager.revoke("example.com", "boredom");
  const others = [
    defaultAutoManager("a@example.com"),
    await quickSetup("a@example.com", "a.internal"),
  ];
  const names = others.flatMap(({ domains }) => domains);
  return [cert, String(status?.daysLeft), ...Object.keys(REVOCATION_REASONS), ...names];
}

/** Never called: what the types refuse. */
export function refused(conn: Conn, listener: Listener): Tunnel[] {
  const addresses = { listenAddr: ":0", targetAddr: "127.0.0.1:1" };
  // @ts-expect-error counters are read only
  conn.bytesRead = 1;
  // @ts-expect-error a listener is no connection
  void forward(conn, listener);
  // @ts-expect-error numbers cannot be written
  void conn.write(5);
  handlePair(conn, conn);
  return [
    // @ts-expect-error addresses are missing
    new Tunnel({}),
    // @ts-expect-error there is no such field
    new Tunnel({ ...addresses, maxConections: 1 }),
    // @ts-expect-error nothing waits, so there is no time to wait
    new Tunnel({ ...addresses, backpressureYieldMin: 1 }),
    // @ts-expect-error there is no such protocol
    new Tunnel({ ...addresses, protocol: "gopher" }),
    // @ts-expect-error a protocol also has a forwarder
    new Tunnel(addresses).setProtocol({ name: "own", listen, dial }),
  ];
}
