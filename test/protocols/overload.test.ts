// What becomes of clients of each protocol while the process is overloaded: what is new is turned away in the protocol's own
// words, what is under way goes on, and afterwards all is as before.

import { afterAll, describe, expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { H2TestClient } from "../support/h2-client.ts";
import { H3TestClient } from "../support/h3-client.ts";
import { HttpProxy, Talk } from "../support/http-proxy.ts";
import { overload, recover } from "../support/overloaded.ts";
import { QuicPeer } from "../support/quic-relay.ts";
import { wireAddress } from "../support/relay.ts";
import { Datagrams, UdpRelay } from "../support/udp.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress, WireServer } from "../support/wire.ts";

const authority = new Authority();
const { certFile, keyFile } = authority.issue(["a.example"]);
const TLS = { cert_file: certFile, key_file: keyFile };
afterAll(() => authority[Symbol.dispose]());

function statsOf(proxy: Proxy): ListenerStats {
  return Object.values(proxy.stats().listeners)[0]!;
}

function addressOf(proxy: Proxy): WireAddress {
  return wireAddress(proxy.listeners()[0]!.bound[0]!);
}

/** How a client that is turned away sees it, and what it was told. */
async function refusal(address: WireAddress): Promise<{ ending: string; received: number }> {
  try {
    const wire = await Wire.connect(address);
    const ending = await within("the refusal", wire.ending);
    return { ending, received: wire.received };
  } catch (error) {
    return { ending: (error as NodeJS.ErrnoException).code ?? "?", received: 0 };
  }
}

const GET = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

describe("over HTTP/1.1 in clear", () => {
  test("a request is answered 503, with Retry-After, and its connection is closed", async () => {
    await using server = await WireServer.listen();
    await using running = await HttpProxy.start({ target: server.target });
    const slow = await running.connect();
    const rests = await running.connect();
    await slow.say(GET);
    const backend = await Talk.accept(server);
    await backend.head();
    await overload(running.proxy);

    await rests.say(GET);
    const answer = await rests.rest();
    expect(answer).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    expect(answer.toLowerCase()).toContain("\r\nconnection: close\r\n");
    expect(answer.toLowerCase()).toContain("\r\nretry-after: 2\r\n");
    expect(await running.ask("POST / HTTP/1.1\r\ncontent-length: 5", "hello")).toContain(" 503 ");
    await backend.say(ANSWER);
    expect(await slow.hear("hi")).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(running.stats.refused.overload).toBe(2);
    expect(running.stats.http).toMatchObject({ requests: 3, active: 0 });
    expect(running.stats.http.ownAnswers["5xx"]).toBe(2);

    await recover(running.proxy);
    await slow.say(GET);
    await backend.head();
    await backend.say(ANSWER);
    expect(await slow.hear("hi")).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("a question of a certificate authority is answered all the same", async () => {
    await using running = await HttpProxy.start({ target: "127.0.0.1:1" });
    const token = "a-token-that-an-authority-made";
    const text = `${token}.thumbprint`;
    await running.proxy.challenges.add({
      type: "http-01",
      domain: "a.example",
      token,
      keyAuthorization: text,
    });
    await overload(running.proxy);
    expect(await running.ask("GET / HTTP/1.1")).toContain(" 503 ");
    const path = `/.well-known/acme-challenge/${token}`;
    expect(await running.ask(`GET ${path} HTTP/1.1`)).toEndWith(text);
  });
});

test("over HTTP/2 a stream is answered 503, and the connection ends with those that are under way", async () => {
  await using server = await WireServer.listen();
  await using running = await HttpProxy.start({ target: server.target });
  const { port } = addressOf(running.proxy) as { port: number };
  using client = await H2TestClient.connect(port);
  const slow = client.ask({ path: "/slow" });
  const backend = await Talk.accept(server);
  await backend.head();
  await overload(running.proxy);

  const refused = await client.ask().over;
  expect(refused.status).toBe(503);
  expect(refused.entries).toContainEqual(["retry-after", "2"]);
  await until("GOAWAY has come", () => client.backend.closing);
  await backend.say(ANSWER);
  expect(await slow.over).toMatchObject({ status: 200, text: "hi" });
  await within("the end", client.gone);
});

test("over HTTP/3 a stream is answered 503, what is under way goes on, and afterwards clients are served", async () => {
  await using server = await WireServer.listen();
  const keys = { name: "http3", target: server.target, tls: TLS };
  await using running = await HttpProxy.start(keys);
  const { port } = addressOf(running.proxy) as { port: number };
  using client = await H3TestClient.connect(port, authority.ca);
  const slow = client.ask({ path: "/slow" });
  const backend = await Talk.accept(server);
  await backend.head();
  await overload(running.proxy);

  const refused = await client.ask().over;
  expect(refused.status).toBe(503);
  expect(refused.entries).toContainEqual(["retry-after", "2"]);
  expect(running.stats.refused.overload).toBe(1);
  await until("GOAWAY has come", () => client.backend.closing);
  await backend.say(ANSWER);
  expect(await slow.over).toMatchObject({ status: 200, text: "hi" });
  await within("the end", client.gone);

  await recover(running.proxy);
  using later = await H3TestClient.connect(port, authority.ca);
  const asked = later.ask();
  await backend.head();
  await backend.say(ANSWER);
  expect(await asked.over).toMatchObject({ status: 200, text: "hi" });
});

test("over gRPC the status says that it is unavailable", async () => {
  await using running = await HttpProxy.start({ target: "127.0.0.1:1" });
  using client = await H2TestClient.connect((addressOf(running.proxy) as { port: number }).port);
  await overload(running.proxy);
  const fields = [["content-type", "application/grpc"]] as const;
  const { status, entries } = await client.ask({ method: "POST", fields }).over;
  expect(status).toBe(200);
  expect(entries).toContainEqual(["grpc-status", "14"]);
});

test.each(["tls", "http2"])("a client of %s is turned away before its handshake", async (name) => {
  await using server = await WireServer.listen();
  const listener = { name, listen: "127.0.0.1:0", target: server.target, tls: TLS };
  await using proxy = await Proxy.start(compiledPlan([listener]));
  await overload(proxy);
  const { ending, received } = await refusal(addressOf(proxy));
  expect(["ECONNRESET", "EPIPE", "fin"]).toContain(ending);
  expect(received).toBe(0);
  await until("it is counted", () => statsOf(proxy).refused.overload === 1);
  expect(statsOf(proxy)).toMatchObject({ total: 0, active: 0 });
});

test("over QUIC new streams are broken off, new connections wait, and streams that are there go on", async () => {
  await using server = await WireServer.listen((wire) => {
    wire.onData((chunk) => void wire.write(chunk));
    void wire.ending.then(() => wire.end());
  });
  const listener = { name: "quic", listen: "127.0.0.1:0", target: server.target, tls: TLS };
  await using proxy = await Proxy.start(compiledPlan([listener]));
  const { port } = addressOf(proxy) as { port: number };
  const peer = await QuicPeer.connect(port, authority.ca, { driver: "quiche" });
  const { recorder } = peer.open();
  recorder.write(Buffer.from("one"));
  await until("an echo", () => recorder.text === "one");
  await overload(proxy);
  const late = peer.open();
  late.recorder.write(Buffer.from("two"));
  await until("the stream is broken off", () => late.recorder.isClosed);
  recorder.write(Buffer.from("three"));
  await until("an echo", () => recorder.text === "onethree");
  const another = QuicPeer.connect(port, authority.ca, { driver: "quiche" });
  await until("it is turned away", () => statsOf(proxy).refused.overload >= 2);
  await recover(proxy);
  (await another).connection.close(0, ""); // its Initial has come again
  peer.connection.close(0, "");
});

test("over UDP there are no new sessions, and those that are there go on", async () => {
  await using echo = await Datagrams.echo();
  await using relay = await UdpRelay.start({ targets: [echo.target] });
  const to = relay.address;
  await using known = await Datagrams.open();
  await using stranger = await Datagrams.open();
  expect((await known.ask("one", to)).data.toString()).toBe("one");
  await overload(relay.proxy);
  await stranger.send("two", to);
  await until("it is turned away", () => statsOf(relay.proxy).refused.overload === 1);
  expect((await known.ask("three", to)).data.toString()).toBe("three");
  await recover(relay.proxy);
  expect((await stranger.ask("four", to)).data.toString()).toBe("four");
});
