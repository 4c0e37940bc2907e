// Where clients over QUIC arrive (src/protocols/quic/sockets.ts): endpoints of a driver that only notes what it is asked for, so
// that everything but UDP's ports is the test's.

import { describe, expect, test } from "bun:test";

import { machineAddresses } from "../../../src/protocols/datagrams/bind.ts";
import type { Peer } from "../../../src/protocols/live-rows.ts";
import type { QuicAccepting } from "../../../src/protocols/quic/bound-endpoints.ts";
import { QuicSockets } from "../../../src/protocols/quic/sockets.ts";
import {
  type QuicConnection,
  type QuicDriver,
  type QuicEndpoint,
  QuicError,
  type QuicListenOptions,
  type QuicServing,
} from "../../../src/protocols/quic/transport.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import type { ServerCertificates } from "../../../src/shared/certificates.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import type { OpenRequest } from "../../../src/shared/messages.ts";
import { Datagrams } from "../../support/udp.ts";
import { until } from "../../support/until.ts";

class NotedEndpoint implements QuicEndpoint {
  readonly options: QuicListenOptions;
  readonly address: SocketAddress;
  readonly fd = -1;
  certificates: ServerCertificates;
  state: "open" | "closed" | "destroyed" = "open";
  /** Connections of it are left. */
  isLeft = false;

  constructor(options: QuicListenOptions) {
    this.options = options;
    this.address = options.address;
    this.certificates = options.certificates;
  }

  prepare(serving: QuicServing): () => readonly string[] {
    return () => {
      this.certificates = serving.certificates;
      return [];
    };
  }

  setCertificates(certificates: ServerCertificates): void {
    this.certificates = certificates;
  }

  close(): void {
    if (this.state === "open") this.state = "closed";
  }

  get isFree(): boolean {
    return this.state !== "open" && !this.isLeft;
  }

  reopen(): boolean {
    this.state = "open";
    return true;
  }

  destroy(): void {
    this.state = "destroyed";
  }
}

class NotingDriver implements QuicDriver {
  name: "quiche" | "bun" = "quiche";
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
  replaces?: OpenRequest["replaces"];
}

function scene({ binds, endpoint = true, replaces = [] }: Options) {
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
    quiet: replaces.length > 0,
    replaces,
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
    const { sockets, driver, told } = scene({
      binds: [ip("", other.address.port)],
      replaces: "process",
    });
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
    const { sockets, driver } = scene({ binds: [ip("127.0.0.1", 4433)], replaces: "process" });
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

describe("of a listener that replaces another", () => {
  const binds = [ip("127.0.0.1", 4433)];
  const connection = (of: Peer) => ({ peer: of, destroy: () => {} }) as unknown as QuicConnection;

  /** Two generations, of which the second was opened and does not accept yet. */
  async function generations(next: Partial<Options> = {}) {
    const before = scene({ binds });
    await before.sockets.open();
    const after = scene({ binds, replaces: [1], ...next });
    after.sockets.follow(before.sockets);
    const bound = await after.sockets.open();
    const [endpoint] = before.driver.endpoints;
    return { before, after, bound, endpoint: endpoint!, options: endpoint!.options };
  }

  test("endpoints are the other's until it accepts, and its own from there on", async () => {
    const { before, after, bound, endpoint, options } = await generations();
    expect(bound).toEqual(binds);
    const [early, late] = [peer(1), peer(2)];
    expect(options.onAccept(early)).toBe(true);
    before.sockets.setCertificates(NEW);
    expect(endpoint.certificates).toBe(NEW);
    expect(await after.sockets.accept()).toEqual([]);
    expect(options.onAccept(late)).toBe(true);
    before.sockets.handOn();
    options.onConnection(connection(late));
    options.onConnection(connection(early));
    expect(before.told).toEqual(["connection ticket 1"]);
    expect(after.told).toEqual(["connection ticket 2"]);
    expect(after.driver.endpoints).toEqual([]);
    expect(endpoint.state).toBe("open");
    before.sockets.abort();
    expect(endpoint.state).toBe("open");
    after.sockets.close();
    expect(endpoint.state).toBe("closed");
    after.sockets.abort();
    expect(endpoint.state).toBe("destroyed");
  });

  test("nothing changes if it is closed before", async () => {
    const { before, after, endpoint, options } = await generations();
    after.sockets.close();
    expect(await after.sockets.accept()).toEqual([]);
    expect(options.onAccept(peer(1))).toBe(true);
    options.onRefused(peer(1), new QuicError("ERR_QUIC_TIMEOUT", "nobody of this name"));
    expect(before.told).toEqual([]);
    expect(endpoint.state).toBe("open");
    before.sockets.close();
    expect(endpoint.state).toBe("closed");
  });

  test("addresses that it alone has are opened at once, and drop clients until it accepts", async () => {
    const { after, endpoint } = await generations({ binds: [...binds, ip("127.0.0.2", 4434)] });
    const [own] = after.driver.endpoints;
    expect(own!.address).toEqual(ip("127.0.0.2", 4434));
    expect(own!.options.onAccept(peer(1))).toBe(false);
    await after.sockets.accept();
    expect(own!.options.onAccept(peer(1))).toBe(true);
    expect(endpoint.options.onAccept(peer(2))).toBe(true);
  });

  test("another driver opens its own when the port is free, and says what it waits for", async () => {
    await using other = await Datagrams.open("0.0.0.0");
    const [address] = [ip("", other.address.port)];
    const { before, after } = await generations();
    const later = scene({ binds: [address], replaces: [1] });
    Object.assign(before.driver.endpoints[0]!, { address });
    later.driver.name = "bun";
    later.sockets.follow(before.sockets);
    expect(await later.sockets.open()).toEqual([address]);
    expect(later.told).toEqual([]);
    await later.sockets.accept();
    await until("it has looked", () => later.told.length > 0);
    expect(later.told[0]).toMatch(/QUIC waits: .*EADDRINUSE/);
    await other[Symbol.asyncDispose]();
    await until("it is open", () => later.driver.endpoints.length > 0);
    for (const { sockets } of [before, after, later]) sockets.close();
  });
});
