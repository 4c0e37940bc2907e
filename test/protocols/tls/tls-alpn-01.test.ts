// Challenges by TLS (RFC 8737) on listeners over TLS: whoever offers acme-tls/1 alone, for a name that is pending, is shown the
// certificate made for it and nothing else of the listener; everybody else is served as ever.

import { afterAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

import { alpnCertificate, serverNameOf } from "../../../src/control/acme/alpn-certificate.ts";
import type { Proxy } from "../../../src/control/proxy.ts";
import { ACME_TLS_1, type TlsAlpn01Answer } from "../../../src/shared/challenges.ts";
import { Authority } from "../../support/certificates.ts";
import { run } from "../../support/daemon.ts";
import { HttpProxy } from "../../support/http-proxy.ts";
import { program, testWith } from "../../support/programs.ts";
import { Threads } from "../../support/threads.ts";
import { TlsRelay } from "../../support/tls-relay.ts";
import { until, within } from "../../support/until.ts";
import { Wire, WireServer } from "../../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
const tls = { cert_file: OWN.certFile, key_file: OWN.keyFile };
afterAll(() => authority[Symbol.dispose]());

const KEY = "token.thumbprint";
/** SHA-256 of it, in the OCTET STRING of RFC 8737 section 3. */
const DIGEST = new Bun.CryptoHasher("sha256").update(KEY).digest("hex");

async function answerFor(domain: string): Promise<TlsAlpn01Answer> {
  const made = await alpnCertificate(domain, KEY, Date.now());
  return { type: "tls-alpn-01", serverName: serverNameOf(domain), ...made };
}

interface Seen {
  readonly alpn: string | false | null;
  readonly subjectAltName: string;
  /** DER, in hexadecimal. */
  readonly certificate: string;
}

function portOf(proxy: Proxy): number {
  const [bound] = proxy.listeners()[0]!.bound;
  return bound?.kind === "ip" ? bound.port : 0;
}

/** As an authority looks. @throws Error of the handshake. */
async function look(proxy: Proxy, options: ConnectionOptions = {}): Promise<Seen> {
  const all = { host: "127.0.0.1", port: portOf(proxy), servername: "a.example" };
  const socket = connect({
    ...all,
    ALPNProtocols: [ACME_TLS_1],
    rejectUnauthorized: false,
    ...options,
  } as ConnectionOptions);
  await within("the handshake", once(socket, "secureConnect"));
  const seen = seenBy(socket);
  await within("the proxy's end", once(socket.resume(), "close"));
  return seen;
}

function seenBy(socket: TLSSocket): Seen {
  const { raw, subjectaltname = "" } = socket.getPeerCertificate();
  return {
    alpn: socket.alpnProtocol,
    subjectAltName: subjectaltname,
    certificate: raw.toString("hex"),
  };
}

function expectAnswered({ alpn, certificate }: Seen): void {
  expect(alpn).toBe(ACME_TLS_1);
  expect(certificate).toContain(`0420${DIGEST}`);
}

const LISTENERS: readonly [string, Readonly<Record<string, unknown>>][] = [
  ["tls", { name: "tls", tls }],
  ["http2", { name: "http2", tls }],
  ["http3, over TCP", { name: "http3", tls }],
  [
    "http2 with certificates of clients",
    {
      name: "http2",
      tls: { ...tls, client_auth: "require", ca_file: authority.caFile },
    },
  ],
  [
    "tls with certificates of clients",
    {
      name: "tls",
      tls: { ...tls, client_auth: "require", ca_file: authority.caFile },
    },
  ],
  ["TLS 1.3 alone", { name: "http2", tls: { ...tls, min_version: "1.3" } }],
];

describe("an authority is answered by a listener of", () => {
  for (const [what, keys] of LISTENERS) {
    test(what, async () => {
      await using target = await WireServer.listen();
      await using running = await HttpProxy.start({ ...keys, target: target.target });
      const { proxy } = running;
      const pending = await answerFor("a.example");
      await proxy.challenges.add(pending);
      const seen = await look(proxy);
      expectAnswered(seen);
      expect(seen.subjectAltName).toBe("DNS:a.example");
      await until("the count", () => running.stats.active === 0);
      expect(running.stats.refused.tls_handshake).toBe(0);
      proxy.challenges.remove(pending);
      await proxy.answers();
      // Of a listener that names no protocols, any client is welcome.
      if (what !== "tls") await expect(look(proxy)).rejects.toThrow();
    });
  }

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`any, in ${maxVersion}`, async () => {
      await using running = await HttpProxy.start({ name: "http2", tls, target: "127.0.0.1:1" });
      await running.proxy.challenges.add(await answerFor("a.example"));
      expectAnswered(await look(running.proxy, { maxVersion }));
    });
  }

  test("any behind a PROXY header", async () => {
    await using running = await HttpProxy.start({
      name: "http2",
      tls,
      target: "127.0.0.1:1",
      proxy_protocol: { accept: "any", trusted: ["127.0.0.1"] },
    });
    await running.proxy.challenges.add(await answerFor("a.example"));
    const socket = connectTcp(portOf(running.proxy), "127.0.0.1");
    await once(socket, "connect");
    socket.write("PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n");
    expectAnswered(await look(running.proxy, { socket }));
  });

  for (const [domain, servername] of [
    ["192.0.2.10", "10.2.0.192.in-addr.arpa"],
    ["2001:db8::1", `1.${"0.".repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`],
  ] as const) {
    test(`any for the address ${domain}, by its name for reverse lookups`, async () => {
      await using running = await HttpProxy.start({ name: "http2", tls, target: "127.0.0.1:1" });
      await running.proxy.challenges.add(await answerFor(domain));
      const seen = await look(running.proxy, { servername });
      expectAnswered(seen);
      expect(seen.subjectAltName).toStartWith("IP Address:");
    });
  }

  test("any whose worker came up later", async () => {
    using threads = new Threads();
    await using running = await HttpProxy.start({ name: "http2", tls, target: "127.0.0.1:1" });
    const { proxy } = running;
    await proxy.challenges.add(await answerFor("a.example"));
    threads.crash(threads.all[0]!);
    await until("another worker", () => proxy.stats().workerRestarts === 1);
    await until("the listener", () => proxy.listeners()[0]!.workers.length === 1);
    expectAnswered(await look(proxy));
  });

  testWith(["openssl"], "any, as openssl sees it", async () => {
    await using running = await HttpProxy.start({ name: "http2", tls, target: "127.0.0.1:1" });
    await running.proxy.challenges.add(await answerFor("a.example"));
    const at = ["-connect", `127.0.0.1:${portOf(running.proxy)}`, "-servername", "a.example"];
    const command = [program("openssl"), "s_client", ...at, "-alpn", ACME_TLS_1];
    const { stdout } = await run(command);
    expect(stdout).toContain(`ALPN protocol: ${ACME_TLS_1}`);
    expect(stdout).toContain("subject=O = bun-tunnel, CN = ACME challenge");
  });
});

describe("while something is pending", () => {
  const others: [string, ConnectionOptions][] = [
    ["for another name", { servername: "b.example" }],
    ["with another protocol beside it", { ALPNProtocols: ["h2", ACME_TLS_1] }],
    ["with other protocols", { ALPNProtocols: ["http/1.1"] }],
    ["without any", { ALPNProtocols: undefined as never }],
  ];
  for (const [what, options] of others) {
    test(`a client ${what} gets what it got before`, async () => {
      await using running = await HttpProxy.start({ name: "http2", tls, target: "127.0.0.1:1" });
      const attempt = async (): Promise<Seen | string> => {
        const all = { host: "127.0.0.1", port: portOf(running.proxy), servername: "a.example" };
        const socket = connect({
          ...all,
          ALPNProtocols: [ACME_TLS_1],
          rejectUnauthorized: false,
          ...options,
        } as ConnectionOptions);
        try {
          await within("the handshake", once(socket, "secureConnect"));
          return seenBy(socket);
        } catch (error) {
          return (error as { code: string }).code;
        } finally {
          socket.destroy();
        }
      };
      const before = await attempt();
      await running.proxy.challenges.add(await answerFor("a.example"));
      expect(await attempt()).toEqual(before);
    });
  }

  test("connections that are there go on, whole, while answers come and go", async () => {
    await using target = await WireServer.listen();
    await using relay = await TlsRelay.start({ certificates: [OWN], target: target.target });
    const client = await relay.connect({ ca: authority.ca });
    const far = await within("the target's client", target.accept());
    const length = 4 * 1024 * 1024;
    const received = [client.wire.expectStream(2, length), far.expectStream(1, length)];
    const sent = Promise.all([client.wire.sendStream(1, length), far.sendStream(2, length)]);
    for (let i = 0; i < 20; i++) {
      const pending = await answerFor("a.example");
      await relay.proxy.challenges.add(pending);
      if (i % 5 === 0) expectAnswered(await look(relay.proxy));
      relay.proxy.challenges.remove(pending);
    }
    await sent;
    client.wire.end();
    far.end();
    await within("both streams", Promise.all(received));
  });

  test("requests of connections that are there go on, and end as ever", async () => {
    await using backend = await WireServer.listen();
    await using running = await HttpProxy.start({ name: "http2", tls, target: backend.target });
    const { proxy } = running;
    const socket = connect({
      host: "127.0.0.1",
      port: portOf(proxy),
      servername: "a.example",
      ca: authority.ca,
    });
    await once(socket, "secureConnect");
    let heard = "";
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
    await proxy.challenges.add(await answerFor("a.example"));
    socket.write("GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n");
    const side = await within("the backend's client", backend.accept());
    await side.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    await within("the end", once(socket, "close"));
    expect(heard).toEndWith("\r\n\r\nok");
  });

  test("a hello that is no TLS, or never ends, is refused as ever", async () => {
    await using running = await HttpProxy.start({
      name: "http2",
      tls,
      target: "127.0.0.1:1",
      timeouts: { handshake: "300ms" },
    });
    await running.proxy.challenges.add(await answerFor("a.example"));
    for (const bytes of [
      "GET / HTTP/1.1\r\n\r\n",
      "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03",
    ]) {
      const wire = await Wire.connect(running.address);
      await wire.write(Buffer.from(bytes, "latin1"));
      await within("the end", wire.ending);
    }
    await until("both", () => running.stats.refused.tls_handshake === 2);
    expectAnswered(await look(running.proxy));
  });
});
