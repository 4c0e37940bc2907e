// Handshakes of names that have no certificate yet, on listeners of every kind: they wait until there is one or it is denied, and
// nobody else is held up.

import { afterAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect } from "node:tls";

import { alpnCertificate } from "../../src/control/acme/alpn-certificate.ts";
import { ACME_TLS_1 } from "../../src/shared/challenges.ts";
import { Authority } from "../support/certificates.ts";
import { KINDS, ListenerOverTls } from "../support/listeners-over-tls.ts";
import { until, within } from "../support/until.ts";

const authority = new Authority();
const FIRST = authority.issue(["a.example"]);
const BOTH = authority.issue(["a.example", "b.example", "*.c.example"]);
afterAll(() => authority[Symbol.dispose]());

const OVER_TCP = KINDS.filter(({ way }) => way === "TCP");
const OVER_QUIC = KINDS.filter(({ way }) => way === "QUIC");

/** What a client of b.example says. Workers are heard meanwhile, which they are not within `rejects`. */
async function refusal(listener: ListenerOverTls): Promise<string> {
  const outcome = await listener.connect("b.example").catch((error: Error) => error);
  return outcome instanceof Error ? outcome.message : "no refusal";
}

describe.each(KINDS)("a listener of $what", (kind) => {
  test("lets a handshake wait until its certificate is there", async () => {
    await using listener = await ListenerOverTls.start(kind, authority, FIRST, { onDemand: true });
    const { proxy } = listener.relay;
    const asked: string[] = [];
    proxy.wanted.handler = (name) => asked.push(name);
    const waiting = listener.connect("B.example");
    await until("the question", () => asked.length > 0);
    // Whoever has a certificate is served meanwhile.
    (await listener.connect("a.example")).close();
    listener.show(BOTH);
    proxy.wanted.granted("b.example");
    (await within("the handshake", waiting)).close();
    (await listener.connect("x.c.example")).close();
    expect(asked).toEqual(["b.example"]);
    await until("they are gone", () => listener.relay.stats.active === 0);
    expect(listener.relay.stats.refused.tls_handshake).toBe(0);
  });
});

describe.each(OVER_TCP)("over TCP, a listener of $what", (kind) => {
  test("tells a client that its name is not recognized", async () => {
    await using listener = await ListenerOverTls.start(kind, authority, FIRST, { onDemand: true });
    const { proxy } = listener.relay;
    const asked: string[] = [];
    proxy.wanted.handler = (name) => {
      asked.push(name);
      proxy.wanted.deny(name);
    };
    for (let i = 0; i < 2; i++) {
      expect(await refusal(listener)).toContain("UNRECOGNIZED_NAME");
    }
    expect(asked).toEqual(["b.example"]); // the second was denied at once
    await until("both", () => listener.relay.stats.refused.tls_handshake === 2);
    await until("the line", () => listener.relay.refusals("tls_handshake").length > 0);
    expect(listener.relay.refusals("tls_handshake")[0]).toContain(
      "there is no certificate for b.example",
    );
    (await listener.connect("a.example")).close();
  });
});

describe.each(OVER_QUIC)("over QUIC, a listener of $what", (kind) => {
  test("shows its first certificate where there will be none", async () => {
    await using listener = await ListenerOverTls.start(kind, authority, FIRST, { onDemand: true });
    const { proxy } = listener.relay;
    const asked: string[] = [];
    proxy.wanted.handler = (name) => {
      asked.push(name);
      proxy.wanted.deny(name);
    };
    expect(await refusal(listener)).toContain("bad certificate");
    expect(asked).toEqual(["b.example"]);
  });
});

const [TLS] = KINDS;
const HTTP2 = KINDS[1]!;

describe("who waits", () => {
  test("is denied where nobody decides", async () => {
    await using listener = await ListenerOverTls.start(TLS!, authority, FIRST, { onDemand: true });
    expect(await refusal(listener)).toContain("UNRECOGNIZED_NAME");
  });

  test("is asked for once by all workers, and all of them are told", async () => {
    const options = { onDemand: true, workers: 2 };
    await using listener = await ListenerOverTls.start(TLS!, authority, FIRST, options);
    const { proxy } = listener.relay;
    const asked: string[] = [];
    proxy.wanted.handler = (name) => asked.push(name);
    const waiting = Promise.all(Array.from({ length: 24 }, () => listener.connect("b.example")));
    await until("all of them", () => listener.relay.stats.active === 24);
    await proxy.answers();
    expect(asked).toEqual(["b.example"]);
    listener.show(BOTH);
    for (const held of await within("all handshakes", waiting)) held.close();
  });

  test("may leave, and leaves nothing behind", async () => {
    await using listener = await ListenerOverTls.start(HTTP2, authority, FIRST, { onDemand: true });
    const { proxy, port } = listener.relay;
    let asked = 0;
    proxy.wanted.handler = () => asked++;
    const socket = connect({ host: "127.0.0.1", port, servername: "b.example" });
    socket.on("error", () => {});
    await until("the question", () => asked === 1);
    socket.destroy();
    await until("it is gone", () => listener.relay.stats.active === 0);
    listener.show(BOTH);
    (await listener.connect("b.example")).close();
    expect(listener.relay.stats.refused.tls_handshake).toBe(0);
  });

  test("that says more than a client may meanwhile, is cut off", async () => {
    await using listener = await ListenerOverTls.start(HTTP2, authority, FIRST, { onDemand: true });
    const { proxy, port } = listener.relay;
    let asked = 0;
    proxy.wanted.handler = () => asked++;
    const socket = connectTcp(port, "127.0.0.1");
    const over = connect({ socket, servername: "b.example" });
    over.on("error", () => {});
    socket.on("error", () => {});
    await until("the question", () => asked === 1);
    const ended = new Promise((resolve) => socket.once("close", resolve));
    const record = Buffer.alloc(16_389);
    record.set([0x17, 3, 3, 0x40, 0]);
    for (let i = 0; i < 8; i++) socket.write(record);
    await within("its end", ended);
    await until("it is gone", () => listener.relay.stats.active === 0);
  });

  test("does not hold up a drain", async () => {
    const listener = await ListenerOverTls.start(HTTP2, authority, FIRST, { onDemand: true });
    const { proxy } = listener.relay;
    let asked = 0;
    proxy.wanted.handler = () => asked++;
    const waiting = refusal(listener);
    await until("the question", () => asked === 1);
    expect(await within("the drain", proxy.stop(20_000))).toEqual({ reset: 0 });
    expect(await waiting).toContain("UNRECOGNIZED_NAME");
    await listener[Symbol.asyncDispose]();
  });

  test("does not keep the proxy from its end", async () => {
    const listener = await ListenerOverTls.start(TLS!, authority, FIRST, { onDemand: true });
    const { proxy } = listener.relay;
    let asked = 0;
    proxy.wanted.handler = () => asked++;
    const waiting = listener.connect("b.example").catch((error: Error) => error);
    await until("the question", () => asked === 1);
    await within("the end", proxy.kill());
    expect(await within("the client's end", waiting)).toBeInstanceOf(Error);
    await listener[Symbol.asyncDispose]();
  });

  test("for a certificate does not keep the authority from looking at that name", async () => {
    await using listener = await ListenerOverTls.start(HTTP2, authority, FIRST, { onDemand: true });
    const { proxy, port } = listener.relay;
    let asked = 0;
    proxy.wanted.handler = () => asked++;
    const waiting = listener.connect("b.example");
    await until("the question", () => asked === 1);
    const made = await alpnCertificate("b.example", "token.thumbprint", Date.now());
    await proxy.challenges.add({ type: "tls-alpn-01", serverName: "b.example", ...made });
    const look = connect({
      host: "127.0.0.1",
      port,
      servername: "b.example",
      ALPNProtocols: [ACME_TLS_1],
      rejectUnauthorized: false,
    });
    await within("the authority's handshake", once(look, "secureConnect"));
    expect(look.alpnProtocol).toBe(ACME_TLS_1);
    look.destroy();
    listener.show(BOTH);
    (await within("the handshake", waiting)).close();
  });

  test("for nothing: a listener that is not on demand shows its first certificate", async () => {
    await using listener = await ListenerOverTls.start(TLS!, authority, FIRST);
    listener.relay.proxy.wanted.handler = () => expect.unreachable();
    expect(await refusal(listener)).toContain("Hostname/IP does not match");
  });
});
