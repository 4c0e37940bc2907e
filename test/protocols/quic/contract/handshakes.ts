// The contract of handshakes: who is let in, what is agreed upon, and what is refused with which words.

import { expect } from "bun:test";

import { QuicError, type QuicListenOptions } from "../../../../src/protocols/quic/transport.ts";
import { Datagrams } from "../../../support/udp.ts";
import { until, within } from "../../../support/until.ts";
import { Recorder } from "../../wire/recorder.ts";
import {
  attempt,
  certificateOf,
  clientOptions,
  connect,
  Link,
  type Players,
  refusal,
  Server,
  type Told,
  TRANSPORT,
  trusted,
} from "../harness.ts";

/** A second connection, after one that left its session. */
async function resumed(
  players: Players,
  listen: Partial<QuicListenOptions>,
  earlyData: boolean,
): Promise<{ client: Told; server: Told; stream: Recorder } & AsyncDisposable> {
  const server = await Server.listen(players.server, listen);
  const options = clientOptions(server.address, { earlyData });
  const first = await connect(players.client, options);
  const recorder = new Recorder();
  recorder.adopt(first.connection.openStream()!);
  recorder.write(Buffer.from("x"));
  await until("the echo", () => recorder.text === "x");
  // The session comes behind the handshake; a further echo is behind the session.
  recorder.write(Buffer.from("y"));
  await until("the second echo", () => recorder.text === "xy");
  first.connection.close(0, "");
  const arrival = server.next();
  const client = await connect(players.client, options);
  const stream = new Recorder();
  stream.adopt(client.connection.openStream()!);
  stream.write(Buffer.from("early"));
  const accepted = await arrival;
  await until("the echo", () => stream.text === "early");
  return {
    client,
    server: accepted,
    stream,
    async [Symbol.asyncDispose]() {
      client.connection.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** For drivers that take up sessions. */
export function resumption(players: Players): void {
  const { test } = players;
  test("a client that comes again sends early data, which is told apart", async () => {
    await using link = await resumed(players, { earlyData: true }, true);
    expect(link.server.streams[0]!.early).toBe(true);
    expect(link.server.connection.tls.resumed).toBe(true);
    const late = new Recorder();
    late.adopt(link.client.connection.openStream()!);
    late.write(Buffer.from("later"));
    await until("the echo", () => late.text === "later");
    expect(link.server.streams[1]!.early).toBe(false);
  });

  test("early data that a server does not take comes after the handshake", async () => {
    await using link = await resumed(players, { earlyData: false }, true);
    expect(link.server.streams[0]!.early).toBe(false);
  });

  test("a client that does not ask for it sends none", async () => {
    await using link = await resumed(players, { earlyData: true }, false);
    expect(link.server.streams[0]!.early).toBe(false);
    expect(link.server.connection.tls.resumed).toBe(true);
  });

  test("a server with other certificates of clients takes no session of before", async () => {
    const clientCa = trusted().ca;
    const certificates = { certificates: [certificateOf().material], clientCa };
    await using server = await Server.listen(players.server, {
      clientAuth: "require",
      certificates,
    });
    const certificate = trusted().issue(["client.test"]).material;
    const own = { group: 0, index: 0, ca: trusted().ca, certificate };
    const options = clientOptions(server.address, { certificates: own });
    const first = await connect(players.client, options);
    const recorder = new Recorder();
    recorder.adopt(first.connection.openStream()!);
    recorder.write(Buffer.from("x"));
    await until("the echo", () => recorder.text === "x");
    first.connection.close(0, "");
    const other = trusted().selfSigned(["authority.test"], { authority: true }).cert;
    server.endpoint.setCertificates({ ...certificates, clientCa: other });
    expect((await refusal(players.client, options)).code).toBe("ERR_QUIC_HANDSHAKE");
  });
}

export function handshakes(players: Players): void {
  agreements(players);
  shownCertificates(players);
  clientCertificates(players);
  refusals(players);
}

/** One byte each way. */
async function converse(link: Link): Promise<void> {
  const recorder = new Recorder();
  recorder.adopt(link.client.connection.openStream()!);
  recorder.write(Buffer.from("x"));
  await until("the echo", () => recorder.text === "x");
}

function agreements(players: Players): void {
  const { test } = players;
  test("both know what was agreed upon, and each other", async () => {
    await using link = await Link.make(players, { alpn: ["other", "echo"] }, { alpn: ["echo"] });
    const { tls: client } = link.client.connection;
    const { tls: server, peer } = link.accepted.connection;
    expect([client.alpn, server.alpn]).toEqual(["echo", "echo"]);
    expect([client.version, server.version]).toEqual(["TLSv1.3", "TLSv1.3"]);
    expect(server.serverName).toBe("localhost");
    expect([server.clientSubject, server.clientFingerprint]).toEqual(["", ""]);
    expect(link.server.accepted).toHaveLength(1);
    expect(link.server.accepted[0]).toBe(peer);
    await converse(link);
  });

  test("a client that is asked to prove its address connects", async () => {
    await using link = await Link.make(players, { retryFrom: 0 });
    await converse(link);
    expect(link.server.accepted).toHaveLength(1);
  });

  test("many clients connect at once, and converse", async () => {
    await using server = await Server.listen(players.server);
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => connect(players.client, clientOptions(server.address))),
    );
    const recorders = clients.map(({ connection }, i) => {
      const recorder = new Recorder();
      recorder.adopt(connection.openStream()!);
      recorder.write(Buffer.from(`client ${i}`));
      return recorder;
    });
    await until("the echoes", () => recorders.every(({ text }, i) => text === `client ${i}`));
    expect(server.accepted).toHaveLength(50);
    for (const { connection } of clients) connection.close(0, "");
    await until("all are gone", () => server.told.every(({ closes }) => closes === 1));
  });

  test("keys are logged where somebody asks for them", async () => {
    const lines: string[] = [];
    const keyLog = (line: string): void => void lines.push(line);
    await using link = await Link.make(players, { keyLog });
    await converse(link);
    await until("the keys", () =>
      lines.some((line) => line.startsWith("SERVER_TRAFFIC_SECRET_0 ")),
    );
  });
}

function shownCertificates(players: Players): void {
  const { test } = players;
  test("the certificate is chosen by name: exact, wildcard, first", async () => {
    const names = ["first.test", "second.test", "*.third.test"];
    const issued = names.map((name) => certificateOf(name));
    const materials = issued.map(({ material }) => material);
    await using server = await Server.listen(players.server, {
      certificates: { certificates: materials, clientCa: null },
    });
    for (const serverName of ["second.test", "a.third.test", "first.test"]) {
      const told = await connect(players.client, clientOptions(server.address, { serverName }));
      told.connection.close(0, "");
    }
    const error = await refusal(
      players.client,
      clientOptions(server.address, { serverName: "a.b.third.test" }),
    );
    expect(error.code).toBe("ERR_QUIC_HANDSHAKE");
  });

  test("certificates that change are shown to those who come later", async () => {
    await using server = await Server.listen(players.server);
    const before = await connect(players.client, clientOptions(server.address));
    server.endpoint.setCertificates({
      certificates: [certificateOf("later.test").material],
      clientCa: null,
    });
    const later = clientOptions(server.address, { serverName: "later.test" });
    const after = await connect(players.client, later);
    const error = await refusal(players.client, clientOptions(server.address));
    expect(error.code).toBe("ERR_QUIC_HANDSHAKE");
    const recorder = new Recorder();
    recorder.adopt(before.connection.openStream()!);
    recorder.write(Buffer.from("x"));
    await until("the echo of the first", () => recorder.text === "x");
    for (const { connection } of [before, after]) connection.close(0, "");
  });

  test("an address as server name is verified, and not sent", async () => {
    await using link = await Link.make(players, {}, { serverName: "127.0.0.1" });
    expect(link.accepted.connection.tls.serverName).toBe("");
    const other = clientOptions(link.server.address, { serverName: "127.0.0.2" });
    expect((await refusal(players.client, other)).code).toBe("ERR_QUIC_HANDSHAKE");
  });

  test("a certificate of somebody else's authority, name or time is refused, unless nobody looks", async () => {
    const wrong = [
      certificateOf("other.test"),
      trusted().selfSigned(["localhost"]),
      trusted().issue(["localhost"], { expired: true }),
    ];
    for (const { material } of wrong) {
      await using server = await Server.listen(players.server, {
        certificates: { certificates: [material], clientCa: null },
      });
      const error = await refusal(players.client, clientOptions(server.address));
      expect(error).toBeInstanceOf(QuicError);
      expect(error.code).toBe("ERR_QUIC_HANDSHAKE");
      const trusting = clientOptions(server.address, { insecure: true });
      (await connect(players.client, trusting)).connection.close(0, "");
    }
  });
}

function clientCertificates(players: Players): void {
  const { test } = players;
  const clientCa = (): string => trusted().ca;
  const own = (): ReturnType<typeof certificateOf> =>
    trusted().issue(["client.test"], { subject: "/O=Example/CN=client" });

  function listen(clientAuth: "request" | "require"): Promise<Server> {
    return Server.listen(players.server, {
      clientAuth,
      certificates: { certificates: [certificateOf().material], clientCa: clientCa() },
    });
  }

  for (const clientAuth of ["request", "require"] as const) {
    test(`${clientAuth}: a certificate that is trusted is told of`, async () => {
      await using server = await listen(clientAuth);
      const arrival = server.next();
      const certificates = { group: 0, index: 0, ca: trusted().ca, certificate: own().material };
      await connect(players.client, clientOptions(server.address, { certificates }));
      const { tls } = (await arrival).connection;
      expect(tls.clientSubject).toBe("CN=client,O=Example");
      expect(tls.clientFingerprint).toMatch(/^[0-9a-f]{64}$/);
    });

    test(`${clientAuth}: a certificate that is not trusted is refused`, async () => {
      await using server = await listen(clientAuth);
      const { material } = trusted().selfSigned(["client.test"]);
      const certificates = { group: 0, index: 0, ca: trusted().ca, certificate: material };
      const error = await refusal(players.client, clientOptions(server.address, { certificates }));
      expect(error.code).toBe("ERR_QUIC_HANDSHAKE");
      await until("the server's words", () => server.refused.length === 1);
      expect(server.refused[0]!.error.code).toBe("ERR_QUIC_HANDSHAKE");
      expect(server.refused[0]!.peer).toBe(server.accepted[0]!);
      expect(server.told).toHaveLength(0);
    });
  }

  test("request: a client without a certificate is let in", async () => {
    await using server = await listen("request");
    const arrival = server.next();
    await connect(players.client, clientOptions(server.address));
    expect((await arrival).connection.tls.clientSubject).toBe("");
  });

  test("require: a client without a certificate is refused", async () => {
    await using server = await listen("require");
    const error = await refusal(players.client, clientOptions(server.address));
    expect(error.code).toBe("ERR_QUIC_HANDSHAKE");
    await until("the server's words", () => server.refused.length === 1);
    expect(server.told).toHaveLength(0);
  });
}

function refusals(players: Players): void {
  const { test } = players;
  test("a client that offers no protocol in common is refused", async () => {
    await using server = await Server.listen(players.server, { alpn: ["echo"] });
    const error = await refusal(players.client, clientOptions(server.address, { alpn: ["other"] }));
    expect(error.code).toBe("ERR_QUIC_HANDSHAKE");
    await until("the server's words", () => server.refused.length === 1);
    expect(server.refused[0]!.error.code).toBe("ERR_QUIC_HANDSHAKE");
    expect(server.told).toHaveLength(0);
  });

  test("a client that is not accepted is not answered", async () => {
    await using server = await Server.listen(players.server, { onAccept: () => false });
    const transport = { ...TRANSPORT, handshakeMs: 300 };
    const error = await refusal(players.client, clientOptions(server.address, { transport }));
    expect(["ERR_QUIC_TIMEOUT", "ERR_QUIC_HANDSHAKE"]).toContain(error.code);
    expect([server.told, server.refused]).toEqual([[], []]);
  });

  test("a server that says nothing is given up after the handshake timeout", async () => {
    await using silent = await Datagrams.open();
    const transport = { ...TRANSPORT, handshakeMs: 200 };
    const address = { kind: "ip", ...silent.address } as const;
    const error = await refusal(players.client, clientOptions(address, { transport }));
    expect(error.code).toBe("ERR_QUIC_TIMEOUT");
    expect(silent.received.length).toBeGreaterThan(0);
    expect(silent.received[0]!.data.length).toBeGreaterThanOrEqual(1_200);
  });

  test("a client that goes silent is told of after the handshake timeout", async () => {
    const transport = { ...TRANSPORT, handshakeMs: 200 };
    await using server = await Server.listen(players.server, { transport });
    // Its hello comes, and nothing after it.
    await using middle = await Datagrams.open();
    let first: Buffer | null = null;
    middle.onDatagram = ({ data, from }) => {
      if (first !== null || from.port === server.address.port) return;
      first = data;
      void middle.send(data, server.address);
    };
    const address = { kind: "ip", ...middle.address } as const;
    const { connecting } = attempt(players.client, clientOptions(address));
    await until("the refusal", () => server.refused.length === 1);
    connecting.cancel();
    expect(server.refused[0]!.error.code).toBe("ERR_QUIC_TIMEOUT");
    expect(server.told).toHaveLength(0);
  });

  test("a connect that was cancelled is not told of", async () => {
    await using server = await Server.listen(players.server);
    let told = 0;
    const options = clientOptions(server.address);
    const connecting = players.client.connect(options, () => void told++);
    connecting.cancel();
    const arrival = server.next();
    const after = await connect(players.client, options);
    const { closed } = await arrival;
    after.connection.close(0, "");
    await within("the other's close", closed);
    expect(told).toBe(0);
  });
}
