// Where clients over QUIC arrive (src/protocols/quic/sockets.ts): endpoints of a driver that only notes what it is asked for, so
// that everything but UDP's ports is the test's.

import { describe, expect, test } from "bun:test";

import { machineAddresses } from "../../../src/protocols/datagrams/bind.ts";
import type { Peer } from "../../../src/protocols/live-rows.ts";
import { type QuicAccepting, QuicSockets } from "../../../src/protocols/quic/sockets.ts";
import {
  type QuicConnection,
  type QuicDriver,
  type QuicEndpoint,
  QuicError,
  type QuicListenOptions,
} from "../../../src/protocols/quic/transport.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import type { ServerCertificates } from "../../../src/shared/certificates.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import { Datagrams } from "../../support/udp.ts";
import { until } from "../../support/until.ts";

class NotedEndpoint implements QuicEndpoint {
  readonly options: QuicListenOptions;
  readonly address: SocketAddress;
  readonly fd = -1;
  certificates: ServerCertificates;
  state: "open" | "closed" | "destroyed" = "open";

  constructor(options: QuicListenOptions) {
    this.options = options;
    this.address = options.address;
    this.certificates = options.certificates;
  }

  setCertificates(certificates: ServerCertificates): void {
    this.certificates = certificates;
  }

  close(): void {
    if (this.state === "open") this.state = "closed";
  }

  destroy(): void {
    this.state = "destroyed";
  }
}

class NotingDriver implements QuicDriver {
  readonly name = "quiche";
  readonly endpoints: NotedEndpoint[] = [];

  async listen(options: QuicListenOptions): Promise<QuicEndpoint> {
    const endpoint = new NotedEndpoint(options);
    this.endpoints.push(endpoint);
    return endpoint;
  }

  connect(): never {
    throw new Error("nobody connects here");
  }
}

const OLD = { certificates: [], clientCa: null } as unknown as ServerCertificates;
const NEW = { certificates: [], clientCa: null } as unknown as ServerCertificates;
const ip = (host: string, port: number): SocketAddress => ({ kind: "ip", host, port });
const peer = (port: number): Peer => ({ ip: new Uint8Array(16), port });

interface Options {
  binds: readonly SocketAddress[];
  endpoint?: boolean;
  quiet?: boolean;
}

function scene({ binds, endpoint = true, quiet = false }: Options) {
  const driver = new NotingDriver();
  const told: string[] = [];
  const accepting: QuicAccepting<string> = {
    onAccept: ({ port }) => (port === 666 ? null : `ticket ${port}`),
    onConnection: (_connection, ticket) => void told.push(`connection ${ticket}`),
    onRefused: (ticket, { code }) => void told.push(`refused ${ticket} ${code}`),
    onWarning: (message) => void told.push(message),
  };
  const request = {
    listener: { key: "http3 :443", listen: binds[0]!, socket: {} },
    binds,
    endpoint,
    quiet,
  } as never;
  const asked: string[] = [];
  const pick = (): QuicDriver => {
    asked.push(driver.name);
    return driver;
  };
  const sockets = new QuicSockets(pick, request, {} as never, OLD, accepting);
  return { driver, told, sockets, asked };
}

describe("endpoints", () => {
  test("are opened in one worker alone, and others load no driver", async () => {
    const { sockets, asked } = scene({ binds: [ip("127.0.0.1", 4433)], endpoint: false });
    expect(await sockets.open()).toEqual([]);
    expect(asked).toEqual([]);
  });

  test("have one port, and each address of the machine has one beside the wildcard's", async () => {
    const { sockets, driver } = scene({ binds: [ip("", 0)] });
    const [bound] = await sockets.open();
    const { port } = bound as { port: number };
    expect(port).toBeGreaterThan(0);
    const hosts = driver.endpoints.map(({ address }) => (address as { host: string }).host);
    const beside = process.platform === "linux" ? machineAddresses("") : [];
    expect(hosts).toEqual(["", ...beside]);
    for (const { options } of driver.endpoints) {
      expect(options.address).toMatchObject({ port });
      expect(options.reusePort).toBe(process.platform === "linux");
    }
  });

  test("beside a wildcard are not shared with another program", async () => {
    await using other = await Datagrams.open("0.0.0.0");
    const { sockets, driver } = scene({ binds: [ip("", other.address.port)] });
    await expect(sockets.open()).rejects.toMatchObject({ code: "ERR_LISTEN" });
    expect(driver.endpoints).toEqual([]);
  });

  test("of a successor are opened when their port is free, and what holds it up is said once", async () => {
    await using other = await Datagrams.open("0.0.0.0");
    const { sockets, driver, told } = scene({ binds: [ip("", other.address.port)], quiet: true });
    expect(await sockets.open()).toEqual([ip("", other.address.port)]);
    await until("it has looked", () => told.length > 0);
    expect(told[0]).toMatch(/QUIC waits: .*EADDRINUSE/);
    expect(driver.endpoints).toEqual([]);
    await other[Symbol.asyncDispose]();
    await until("it is open", () => driver.endpoints.length > 0);
    expect(told).toHaveLength(1);
    sockets.close();
  });

  test("of a successor that ends before are not opened", async () => {
    const { sockets, driver } = scene({ binds: [ip("127.0.0.1", 4433)], quiet: true });
    await sockets.open();
    sockets.close();
    expect(driver.endpoints).toEqual([]);
  });

  test("get new certificates, also those that are opened later", async () => {
    const { sockets, driver } = scene({ binds: [ip("127.0.0.1", 1), ip("127.0.0.2", 1)] });
    await sockets.open();
    sockets.setCertificates(NEW);
    expect(driver.endpoints.map(({ certificates }) => certificates)).toEqual([NEW, NEW]);
  });

  test("keep theirs where new ones cannot be used, which is told", async () => {
    const { sockets, driver, told } = scene({ binds: [ip("127.0.0.1", 1), ip("127.0.0.2", 1)] });
    await sockets.open();
    driver.endpoints[0]!.setCertificates = () => {
      throw new ProxyError("ERR_CERTIFICATE", "a key of a kind that nobody knows");
    };
    sockets.setCertificates(NEW);
    expect(driver.endpoints.map(({ certificates }) => certificates)).toEqual([OLD, NEW]);
    expect(told).toEqual([
      "QUIC keeps the certificates that it had: a key of a kind that nobody knows",
    ]);
  });

  test("are closed when they drain, and destroyed at the end", async () => {
    const { sockets, driver } = scene({ binds: [ip("127.0.0.1", 4433)] });
    await sockets.open();
    sockets.handOn();
    expect(driver.endpoints[0]!.state).toBe("closed");
    expect(driver.endpoints[0]!.options.onAccept(peer(1))).toBe(false);
    sockets.abort();
    expect(driver.endpoints[0]!.state).toBe("destroyed");
  });
});

describe("clients", () => {
  test("have a ticket from their first packet on, and are told of once", async () => {
    const { sockets, driver, told } = scene({ binds: [ip("127.0.0.1", 4433)] });
    await sockets.open();
    const { options } = driver.endpoints[0]!;
    const [first, second] = [peer(1), peer(2)];
    expect(options.onAccept(first)).toBe(true);
    expect(options.onAccept(second)).toBe(true);
    expect(options.onAccept(peer(666))).toBe(false);
    const destroyed: Peer[] = [];
    const connection = (of: Peer) =>
      ({ peer: of, destroy: () => void destroyed.push(of) }) as unknown as QuicConnection;
    options.onConnection(connection(first));
    options.onRefused(second, new QuicError("ERR_QUIC_TIMEOUT", "late"));
    expect(told).toEqual(["connection ticket 1", "refused ticket 2 ERR_QUIC_TIMEOUT"]);
    // Nobody knows them any more.
    options.onRefused(second, new QuicError("ERR_QUIC_TIMEOUT", "late"));
    options.onConnection(connection(first));
    expect(told).toHaveLength(2);
    expect(destroyed).toEqual([first]);
  });
});
