// Wires over TLS: the contract of wires, what a handshake says, and ends. Peers of others are in tls-peers.test.ts.

import { afterAll, describe, expect, test } from "bun:test";

import { setSocketOptions } from "../../../src/ffi/socket-options.ts";
import type { SetSocketOptions, WireServer } from "../../../src/protocols/wire/open.ts";
import { ClientTls, ServerTls } from "../../../src/protocols/wire/tls-context.ts";
import { connectTls, listenTls, type TlsListenOptions } from "../../../src/protocols/wire/tls.ts";
import type { Watermarks } from "../../../src/protocols/wire/wire.ts";
import type { SocketAddress } from "../../../src/shared/address.ts";
import type { ServerCertificates } from "../../../src/shared/certificates.ts";
import type { TlsClientPlan, TlsServerPlan } from "../../../src/shared/http-plan.ts";
import type { SocketPlan } from "../../../src/shared/plan.ts";
import { streamBytes } from "../../support/bytes.ts";
import { Authority, type Issued } from "../../support/certificates.ts";
import { listenerPlan } from "../../support/plan.ts";
import { SilentTarget } from "../../support/silent-target.ts";
import { until, within } from "../../support/until.ts";
import * as peers from "../../support/wire.ts";
import { holdToContract, type WirePair } from "./contract.ts";
import { Recorder } from "./recorder.ts";

const authority = new Authority();
const SERVER = authority.issue(["a.example", "IP:127.0.0.1"]);
afterAll(() => authority[Symbol.dispose]());

const { socket: SOCKET } = listenerPlan({ target: "127.0.0.1:1" });
const MARKS: Watermarks = { highBytes: 256 * 1024, lowBytes: 64 * 1024 };
const IPV4: SocketAddress = { kind: "ip", host: "127.0.0.1", port: 0 };

const SERVER_PLAN: TlsServerPlan = {
  certificates: [],
  clientCaFile: null,
  clientAuth: "none",
  managed: false,
  onDemand: false,
  minVersion: "1.2",
  alpn: [],
};
const CLIENT_PLAN: TlsClientPlan = {
  serverName: "a.example",
  caFile: null,
  certificate: null,
  insecure: false,
};

type Refusal = Error & { code?: string };

interface Accepting {
  readonly server: WireServer;
  readonly tls: ServerTls;
  readonly refusals: Refusal[];
  accept(): Promise<Recorder>;
}

interface ServerOptions extends Partial<TlsListenOptions<string>> {
  plan?: Partial<TlsServerPlan>;
  certificates?: Partial<ServerCertificates>;
}

function listen({ plan, certificates, ...options }: ServerOptions = {}): Accepting {
  const ready: Recorder[] = [];
  const refusals: Refusal[] = [];
  const shown = { certificates: [SERVER.material], clientCa: null, ...certificates };
  const tls = new ServerTls({ ...SERVER_PLAN, ...plan }, shown);
  const server = listenTls<string>({
    tls,
    handshakeMs: 5_000,
    tellTruncation: true,
    address: IPV4,
    reusePort: false,
    exclusive: true,
    socket: SOCKET,
    setOptions: () => {},
    watermarks: MARKS,
    onAccept: () => "ticket",
    onWire: (wire, ticket) => {
      expect(ticket).toBe("ticket");
      const recorder = new Recorder();
      recorder.adopt(wire);
      ready.push(recorder);
    },
    onRefused: (ticket, error) => {
      expect(ticket).toBe("ticket");
      refusals.push(error);
    },
    ...options,
  });
  const accept = async (): Promise<Recorder> => {
    await until("a client", () => ready.length > 0);
    return ready.shift()!;
  };
  return { server, tls, refusals, accept };
}

interface ConnectOptions extends Partial<TlsClientPlan> {
  own?: Issued;
  ca?: string | null;
  host?: string;
  alpn?: string[];
  watermarks?: Watermarks;
  /** Instead of one of its own. */
  tls?: ClientTls;
  socket?: SocketPlan;
  setOptions?: SetSocketOptions;
}

function clientTls(options: ConnectOptions = {}): ClientTls {
  const { own, ca = authority.ca, host = "" } = options;
  const { serverName = CLIENT_PLAN.serverName, insecure = false } = options;
  const certificates = { group: 0, index: 0, ca, certificate: own?.material ?? null };
  return new ClientTls({ ...CLIENT_PLAN, serverName, insecure }, host, certificates);
}

function connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Recorder> {
  const { promise, resolve, reject } = Promise.withResolvers<Recorder>();
  const tls = options.tls ?? clientTls(options);
  const { alpn = [], watermarks = MARKS, socket = SOCKET, setOptions = () => {} } = options;
  const all = { address, socket, setOptions, watermarks, tls, alpn, tellTruncation: true };
  connectTls(all, (wire, error) => {
    if (wire === null) return reject(error!);
    const recorder = new Recorder();
    recorder.adopt(wire);
    resolve(recorder);
  });
  return promise;
}

/** Both ends of one connection over a listener that was opened. */
async function pairOver(accepting: Accepting, options: ConnectOptions = {}): Promise<WirePair> {
  const client = await within("the client", connect(accepting.server.address, options));
  const server = await within("the server", accepting.accept());
  const close = async (): Promise<void> => {
    client.wire.reset();
    server.wire.reset();
    accepting.server.close();
  };
  return { client, server, [Symbol.asyncDispose]: close };
}

/** In TLS 1.3 a client has finished its handshake before the server has looked at its certificate. */
function turnedAway(client: Recorder): Promise<unknown> {
  return within("the client's end", Promise.race([client.ended, client.closed]));
}

async function failureOf(connecting: Promise<unknown>): Promise<Refusal> {
  try {
    await within("the failure", connecting);
  } catch (error) {
    return error as Refusal;
  }
  throw new Error("it connected");
}

describe("the contract", () => {
  describe("TLS 1.3", () =>
    holdToContract((marks) => pairOver(listen({ watermarks: marks }), { watermarks: marks })));
});

test("an end right behind bytes that fill the socket is close_notify all the same", async () => {
  const small = { ...SOCKET, sendBufferBytes: 16_384, receiveBufferBytes: 16_384 };
  const setOptions: SetSocketOptions = (fd, options, role) =>
    void setSocketOptions(fd, options, role);
  const accepting = listen({ socket: small, setOptions });
  for (let i = 1; i <= 40; i++) {
    const client = await connect(accepting.server.address, { socket: small, setOptions });
    const server = await accepting.accept();
    server.wire.pause();
    // Below the high watermark: what the runtime takes at once is more than the socket does.
    const length = i * 6_007;
    for (let at = 0; at < length; at += 6_007) client.write(streamBytes(i, at, 6_007));
    client.end();
    server.wire.resume();
    await within("the end", Promise.race([server.ended, server.closed]));
    expect([server.received, server.hasEnded]).toEqual([length, true]);
    client.wire.reset();
    server.wire.reset();
  }
  accepting.server.close();
});

describe("a handshake", () => {
  test("says what was agreed upon, to both sides", async () => {
    const accepting = listen({ plan: { alpn: ["h2", "http/1.1"] } });
    await using pair = await pairOver(accepting, { alpn: ["http/1.1", "h2"] });
    const { client, server } = pair;
    expect(server.wire.tls).toMatchObject({
      alpn: "h2",
      serverName: "a.example",
      version: "TLSv1.3",
      resumed: false,
      clientSubject: "",
      clientFingerprint: "",
    });
    expect(server.wire.tls!.cipher).toMatch(/^TLS_/);
    expect(client.wire.tls).toMatchObject({ alpn: "h2", version: "TLSv1.3" });
  });

  test("without a protocol in common fails, and both are told", async () => {
    const { server, refusals } = listen({ plan: { alpn: ["h2"] } });
    const failure = await failureOf(connect(server.address, { alpn: ["http/1.1"] }));
    await until("the refusal", () => refusals.length === 1);
    expect(refusals[0]!.code).toBe("EPROTO");
    expect(failure.code).toBe("EPROTO");
    server.close();
  });

  test("without protocols offered, or without any of ours, agrees upon none", async () => {
    await using one = await pairOver(listen({ plan: { alpn: ["h2"] } }));
    expect(one.server.wire.tls!.alpn).toBe("");
    await using two = await pairOver(listen(), { alpn: ["h2"] });
    expect(two.server.wire.tls!.alpn).toBe("");
  });

  test("resumes the session of the one before, and is verified as that was", async () => {
    const accepting = listen();
    const tls = clientTls();
    await using first = await pairOver(accepting, { tls });
    expect(first.client.wire.tls!.resumed).toBe(false);
    first.server.write(Buffer.from("x"));
    await until("the ticket", () => first.client.text === "x" && tls.session !== null);
    const client = await connect(accepting.server.address, { tls });
    const server = await accepting.accept();
    expect([client, server].map(({ wire }) => wire.tls!.resumed)).toEqual([true, true]);
    client.wire.reset();
    server.wire.reset();
  });

  test("a session of a target that was not verified is not kept for one that must be", async () => {
    const stranger = authority.selfSigned(["a.example"]);
    const accepting = listen({ certificates: { certificates: [stranger.material] } });
    const tls = clientTls();
    for (let i = 0; i < 2; i++) {
      const failure = await failureOf(connect(accepting.server.address, { tls }));
      expect(failure.code).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
      expect(tls.session).toBeNull();
    }
    accepting.server.close();
  });
});

describe("a target's certificate", () => {
  const refused = async (shown: Issued, options: ConnectOptions = {}): Promise<Refusal> => {
    const { server } = listen({ certificates: { certificates: [shown.material] } });
    const failure = await failureOf(connect(server.address, options));
    server.close();
    return failure;
  };

  test("of an authority that is not trusted is refused, and insecure takes it", async () => {
    const stranger = authority.selfSigned(["a.example"]);
    const failure = await refused(stranger);
    expect(failure.message).toContain("self-signed");
    expect((await refused(SERVER, { ca: null })).code).toMatch(/UNABLE_TO|SELF_SIGNED/);
    await using pair = await pairOver(
      listen({ certificates: { certificates: [stranger.material] } }),
      { insecure: true },
    );
    expect(pair.client.wire.tls!.version).toBe("TLSv1.3");
  });

  test("for another name is refused, with both names", async () => {
    const failure = await refused(SERVER, { serverName: "b.example" });
    expect(failure.code).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(failure.message).toContain("a.example");
    expect(failure.message).toContain("b.example");
  });

  test("counts by its alternative names, and not by its common name", async () => {
    const failure = await refused(authority.issue([], { subject: "/CN=a.example" }));
    expect(failure.code).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test("that has expired is refused", async () => {
    const failure = await refused(authority.issue(["a.example"], { expired: true }));
    expect(failure).toMatchObject({
      code: "CERT_HAS_EXPIRED",
      message: "its certificate has expired",
    });
  });

  test("for the address is verified where there is no name", async () => {
    const accepting = listen();
    await using pair = await pairOver(accepting, { serverName: null, host: "127.0.0.1" });
    expect(pair.server.wire.tls!.serverName).toBe("");
    const other = await failureOf(
      connect(accepting.server.address, { serverName: null, host: "127.0.0.2" }),
    );
    expect(other.code).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test("that changes while the listener is open is shown from the next handshake on", async () => {
    const accepting = listen();
    await using old = await pairOver(accepting);
    const stranger = new Authority();
    const fresh = stranger.issue(["a.example"]);
    accepting.tls.update({ certificates: [fresh.material], clientCa: null });
    const failure = await failureOf(connect(accepting.server.address));
    expect(failure.code).not.toBe("ERR_TLS_CERT_ALTNAME_INVALID");
    const client = await connect(accepting.server.address, { ca: stranger.ca });
    client.wire.reset();
    old.client.write(Buffer.from("still here"));
    await until("the old connection's bytes", () => old.server.text === "still here");
    stranger[Symbol.dispose]();
  });
});

describe("client certificates", () => {
  const clientCa = { clientCa: authority.ca };
  const known = authority.issue([], { name: "client", subject: "/C=DE/O=A, B/CN=x;y" });
  const stranger = authority.selfSigned([], { name: "stranger" });

  test("required: who shows none, or one that does not verify, is refused", async () => {
    const { server, refusals } = listen({
      plan: { clientAuth: "require" },
      certificates: clientCa,
    });
    for (const [own, message] of [
      [undefined, "it sent no certificate"],
      [stranger, "self-signed"],
    ] as const) {
      // In TLS 1.3 the client has finished its handshake by then.
      const client = await connect(server.address, own === undefined ? {} : { own }).catch(
        () => null,
      );
      await until("the refusal", () => refusals.length === 1);
      expect(refusals.pop()!.message).toContain(message);
      if (client !== null) await turnedAway(client);
    }
    server.close();
  });

  test("required: who shows a good one is named", async () => {
    await using pair = await pairOver(
      listen({ plan: { clientAuth: "require" }, certificates: clientCa }),
      { own: known },
    );
    expect(pair.server.wire.tls!.clientSubject).toBe("CN=x\\;y,O=A\\, B,C=DE");
    expect(pair.server.wire.tls!.clientFingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  test("requested: none is as good, and one that does not verify is refused", async () => {
    const accepting = listen({ plan: { clientAuth: "request" }, certificates: clientCa });
    await using pair = await pairOver(accepting);
    expect(pair.server.wire.tls!.clientSubject).toBe("");
    const { server, refusals } = accepting;
    const client = await connect(server.address, { own: stranger }).catch(() => null);
    await until("the refusal", () => refusals.length === 1);
    if (client !== null) await turnedAway(client);
    const named = await connect(server.address, { own: known });
    expect((await accepting.accept()).wire.tls!.clientSubject).toContain("CN=x");
    named.wire.reset();
  });

  test("a session that is resumed has the certificate of the one before, good or bad", async () => {
    const accepting = listen({ plan: { clientAuth: "require" }, certificates: clientCa });
    const tls = clientTls({ own: known });
    for (const resumed of [false, true]) {
      const client = await connect(accepting.server.address, { tls });
      const server = await accepting.accept();
      expect(server.wire.tls).toMatchObject({ resumed, clientSubject: "CN=x\\;y,O=A\\, B,C=DE" });
      server.write(Buffer.from("x"));
      await until("the ticket", () => client.text === "x" && tls.session !== null);
      client.wire.reset();
      server.wire.reset();
    }
    const bad = clientTls({ own: stranger });
    for (let i = 1; i <= 3; i++) {
      const client = await connect(accepting.server.address, { tls: bad }).catch(() => null);
      if (client !== null) await turnedAway(client);
      await until("the refusal", () => accepting.refusals.length === i);
    }
    accepting.server.close();
  });
});

describe("a client", () => {
  test("that does not speak TLS is refused, and the reason says so", async () => {
    const { server, refusals } = listen();
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    await client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await within("the client's close", client.closed);
    expect(refusals.map(({ message }) => message)).toEqual(["it sent an HTTP request in clear"]);
    server.close();
  });

  test("that says nothing is refused when the time is up", async () => {
    const { server, refusals } = listen({ handshakeMs: 100 });
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    await within("the client's close", client.closed);
    expect(refusals.map(({ code }) => code)).toEqual(["ETIMEDOUT"]);
    server.close();
  });

  test("that leaves during its handshake is refused", async () => {
    const { server, refusals } = listen();
    const { port } = server.address as { port: number };
    for (const leave of ["end", "reset"] as const) {
      const client = await peers.Wire.connect({ host: "127.0.0.1", port });
      await client.write(new Uint8Array([22, 3, 1]));
      client[leave]();
      await until("the refusal", () => refusals.length === 1);
      expect(refusals.pop()!.code).toBe("ECONNRESET");
    }
    server.close();
  });

  test("that is turned away at accept gets no handshake, and its descriptor is the listener's to see", async () => {
    const seen: number[] = [];
    const { server } = listen({
      onAccept: ({ port }, fd) => {
        seen.push(port, fd);
        return null;
      },
    });
    const failure = await failureOf(connect(server.address));
    expect(failure.code).toBe("ECONNRESET");
    expect(seen[0]).toBeGreaterThan(0);
    expect(seen[1]).toBeGreaterThan(2);
    server.close();
  });

  test("whose handshake goes on when the worker ends is reset without a word", async () => {
    const { server, refusals } = listen();
    const { port } = server.address as { port: number };
    const client = await peers.Wire.connect({ host: "127.0.0.1", port });
    await client.write(new Uint8Array([22, 3, 1]));
    const other = await connect(server.address);
    server.close();
    server.abort();
    expect(await within("the reset", client.ending)).toBe("ECONNRESET");
    expect(refusals).toEqual([]);
    other.wire.reset();
  });
});

describe("a connection that is given up", () => {
  test("during its handshake is gone for the target, and nothing is told", async () => {
    await using target = await peers.WireServer.listen();
    const { port } = target;
    let told = false;
    const all = { address: { kind: "ip", host: "127.0.0.1", port } as const, socket: SOCKET };
    const options = {
      ...all,
      setOptions: () => {},
      watermarks: MARKS,
      tls: clientTls(),
      alpn: [],
      tellTruncation: true,
    };
    const connecting = connectTls(options, () => (told = true));
    const peer = await within("the target's client", target.accept());
    await peer.readHead(5);
    connecting.cancel();
    expect(await within("its end", peer.ending)).toBe("ECONNRESET");
    expect(told).toBe(false);
  });

  test("before it is connected leaves nothing", async () => {
    using silent = await SilentTarget.start();
    const address = { kind: "ip", host: "127.0.0.1", port: silent.port } as const;
    const options = { address, socket: SOCKET, setOptions: () => {}, watermarks: MARKS };
    let told = false;
    connectTls(
      { ...options, tls: clientTls(), alpn: [], tellTruncation: true },
      () => (told = true),
    ).cancel();
    const failure = await failureOf(connect({ ...address, port: 1 }));
    expect(failure.code).toBe("ECONNREFUSED");
    expect(told).toBe(false);
  });

  test("to a target that does not speak TLS fails with a reason", async () => {
    await using target = await peers.WireServer.listen((wire) => {
      wire.onData(() => void wire.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    const failure = await failureOf(connect({ kind: "ip", host: "127.0.0.1", port: target.port }));
    expect(failure.message).toBe("it does not speak TLS");
  });
});
