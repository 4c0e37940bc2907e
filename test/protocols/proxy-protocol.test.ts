// Clients behind a proxy that says who they are: listeners of HTTP and of TLS take its word, and only its.

import { afterAll, describe, expect, test } from "bun:test";
import { connect as connectRaw, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { encodeProxyHeader } from "../../src/l4/proxy/encode.ts";
import { parseProxyHeader } from "../../src/l4/proxy/parse.ts";
import { formatIp, parseIp } from "../../src/shared/ip.ts";
import { FIRST_BYTES } from "../../src/shared/limits.ts";
import { Authority } from "../support/certificates.ts";
import { inFolder } from "../support/daemon.ts";
import { HttpProxy, Talk } from "../support/http-proxy.ts";
import { LogLines } from "../support/log-lines.ts";
import { TlsRelay } from "../support/tls-relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const TRUSTED = { accept: "any", trusted: ["127.0.0.0/8"] } as const;
const V1 = "PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n";
const LOCAL = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");
const REQUEST = "GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n";
const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

function v2(client: string): Buffer {
  const into = new Uint8Array(FIRST_BYTES.proxyHeaderMaxBytes);
  const source = { kind: "ip", ip: parseIp(client)!, port: 5_555 } as const;
  const destination = { kind: "ip", ip: parseIp("198.51.100.1")!, port: 443 } as const;
  const length = encodeProxyHeader(
    into,
    2,
    { source, destination },
    {
      authority: "a.example",
      alpn: null,
    },
  );
  return Buffer.from(into.subarray(0, length));
}

const linux = test.if(process.platform === "linux");

/** @returns the head that the target got. */
async function served(client: Wire, target: WireServer): Promise<string> {
  const far = await Talk.accept(target);
  const head = await far.head();
  await far.say(ANSWER);
  await new Talk(client).hear("ok");
  return head;
}

interface Parts {
  readonly proxy: HttpProxy;
  readonly target: WireServer;
  readonly lines: LogLines;
  connect(): Promise<Wire>;
}

async function behindProxy(
  keys: Readonly<Record<string, unknown>>,
  use: (parts: Parts) => Promise<void>,
): Promise<void> {
  await using target = await WireServer.listen();
  const lines = new LogLines();
  const all = { target: `http://${target.target}`, proxy_protocol: TRUSTED, ...keys };
  await using proxy = await HttpProxy.start(all, { log: lines.log });
  await use({ proxy, target, lines, connect: () => Wire.connect(proxy.address) });
}

describe("the client that a header names", () => {
  for (const [name, header] of [
    ["version 1", Buffer.from(V1)],
    ["version 2", v2("192.0.2.7")],
  ] as const) {
    linux(`is the one that targets are told of (${name}), with the request right behind it`, () =>
      behindProxy({}, async ({ connect, proxy, target }) => {
        const client = await connect();
        await client.write(Buffer.concat([header, Buffer.from(REQUEST)]));
        const head = await served(client, target);
        expect(head.toLowerCase()).toContain("x-forwarded-for: 192.0.2.7\r\n");
        expect(proxy.proxy.connections()).toMatchObject([{ client: "192.0.2.7:5555" }]);
        client.reset();
        await until("it is gone", () => proxy.stats.active === 0);
      }),
    );

    linux(`may come byte by byte (${name})`, () =>
      behindProxy({}, async ({ connect, proxy, target }) => {
        const client = await connect();
        for (const byte of header) client.socket.write(Uint8Array.of(byte));
        await until("it was read", () => {
          return proxy.proxy.connections()[0]?.client === "192.0.2.7:5555";
        });
        await client.write(REQUEST);
        expect((await served(client, target)).toLowerCase()).toContain("for: 192.0.2.7\r\n");
        client.reset();
      }),
    );
  }

  linux("is its sender where the sender speaks for itself", () =>
    behindProxy({ allow: ["192.0.2.0/24"] }, async ({ connect, target }) => {
      const client = await connect();
      await client.write(Buffer.concat([LOCAL, Buffer.from(REQUEST)]));
      expect((await served(client, target)).toLowerCase()).toContain("for: 127.0.0.1\r\n");
      client.reset();
    }),
  );

  linux("is whom allow and deny are about", () =>
    behindProxy({ deny: ["192.0.2.66"] }, async ({ connect, proxy, target, lines }) => {
      const denied = await connect();
      await denied.write(v2("192.0.2.66"));
      await within("its end", denied.closed);
      expect(proxy.stats.refused.denied).toBe(1);
      await until("it is in the log", () => lines.of("refused").length > 0);
      expect(lines.of("refused")[0]!.fields).toMatchObject({
        reason: "denied",
        detail: "192.0.2.66",
      });
      const client = await connect();
      await client.write(Buffer.concat([v2("192.0.2.7"), Buffer.from(REQUEST)]));
      await served(client, target);
      client.reset();
    }),
  );

  linux("is whom max_per_ip counts, until it leaves", () =>
    behindProxy({ limits: { max_per_ip: 1 } }, async ({ connect, proxy, target }) => {
      const first = await connect();
      await first.write(Buffer.concat([v2("192.0.2.7"), Buffer.from(REQUEST)]));
      await served(first, target);
      const second = await connect();
      await second.write(v2("192.0.2.7"));
      await within("its end", second.closed);
      expect(proxy.stats.refused.max_per_ip).toBe(1);
      first.reset();
      await until("the first is gone", () => proxy.stats.active === 0);
      const third = await connect();
      await third.write(Buffer.concat([v2("192.0.2.7"), Buffer.from(REQUEST)]));
      await until("it was let in", () => proxy.stats.active === 1);
      third.reset();
    }),
  );

  linux("is known on a unix socket, too", () =>
    inFolder(async (folder) => {
      const keys = { listen: `unix:${folder}/l`, proxy_protocol: { accept: "v2" } };
      await behindProxy(keys, async ({ target }) => {
        const client = await Wire.connect({ path: `${folder}/l` });
        await client.write(v2("192.0.2.7"));
        await client.write(REQUEST);
        expect((await served(client, target)).toLowerCase()).toContain("for: 192.0.2.7\r\n");
        client.reset();
      });
    }),
  );
});

describe("refused and counted is", () => {
  linux("who is not trusted", () =>
    behindProxy(
      { proxy_protocol: { accept: "any", trusted: ["192.0.2.1"] } },
      async ({ connect, proxy }) => {
        const client = await connect();
        await client.write(V1);
        await within("its end", client.closed);
        await until("it is counted", () => proxy.stats.refused.proxy_untrusted === 1);
        expect(proxy.stats).toMatchObject({ total: 0, active: 0 });
      },
    ),
  );

  linux("who begins with something else", () =>
    behindProxy({}, async ({ connect, proxy }) => {
      const client = await connect();
      await client.write(REQUEST);
      await within("its end", client.closed);
      await until("it is gone", () => proxy.stats.active === 0);
      expect(proxy.stats.refused.proxy_header).toBe(1);
    }),
  );

  linux("who ends inside its header; not who leaves without a byte", () =>
    behindProxy({}, async ({ connect, proxy }) => {
      const silent = await connect();
      silent.socket.end();
      await within("its end", silent.closed);
      const half = await connect();
      half.socket.end(V1.slice(0, 20));
      await within("its end", half.closed);
      await until("both are gone", () => proxy.stats.active === 0);
      expect(proxy.stats.refused.proxy_header).toBe(1);
    }),
  );

  linux("who takes too long, whatever trickles in", () =>
    behindProxy({ timeouts: { proxy_header: "300ms" } }, async ({ connect, proxy }) => {
      const client = await connect();
      for (const byte of Buffer.from(V1.slice(0, 9))) await client.write(Uint8Array.of(byte));
      await within("its end", client.closed);
      await until("it is gone", () => proxy.stats.active === 0);
      expect(proxy.stats.refused.proxy_timeout).toBe(1);
    }),
  );
});

linux("a client that resets while its header is waited for leaves nothing behind", () =>
  behindProxy({}, async ({ connect, proxy }) => {
    const client = await connect();
    await client.write(V1.slice(0, 10));
    await until("it is in", () => proxy.stats.active === 1);
    client.reset();
    await until("it is gone", () => proxy.stats.active === 0);
    await until("its row is, too", () => proxy.proxy.connections().length === 0);
    // Where bytes and the reset come at once, the runtime tells the latter as an end, which is refused.
    expect(proxy.stats.refused.proxy_header).toBeLessThanOrEqual(1);
  }),
);

/** Sends `header` before what its only client sends first, in one piece with it. */
async function inFront(port: number, header: Uint8Array): Promise<Server> {
  const server = createServer((near: Socket) => {
    near.once("data", (first: Buffer) => {
      const far = connectRaw(port, "127.0.0.1");
      far.write(Buffer.concat([header, first]));
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on("error", () => {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

describe("over TLS", () => {
  linux(
    "the handshake may follow in the same segment, and the target is told of the client",
    async () => {
      await using target = await WireServer.listen();
      const options = {
        certificates: [OWN],
        target: target.target,
        proxyProtocol: TRUSTED,
        sendProxy: "v2",
      } as const;
      await using relay = await TlsRelay.start(options);
      await using front = await inFront(relay.port, v2("2001:db8::7"));
      const client = connectTls({
        port: portOf(front),
        host: "127.0.0.1",
        servername: "a.example",
        ca: authority.ca,
      });
      client.write("hello");
      const far = await within("the target's client", target.accept());
      const got: Buffer[] = [];
      far.onData((chunk) => void got.push(chunk));
      const all = (): Buffer => Buffer.concat(got);
      await until("what the client wrote", () => all().toString("latin1").endsWith("hello"));
      const outcome = parseProxyHeader(all(), "v2");
      if (outcome.type !== "header") throw new Error(outcome.type);
      const { source, destination } = outcome.header.endpoints!;
      expect(source.kind === "ip" && formatIp(source.ip)).toBe("2001:db8::7");
      expect(destination.kind === "ip" && destination.port).toBe(443);
      client.destroy();
      far.reset();
      await until("it is gone", () => relay.stats.active === 0);
    },
  );

  linux("requests carry the client that the header named", async () => {
    const { certFile, keyFile } = OWN;
    const tls = { cert_file: certFile, key_file: keyFile };
    await behindProxy({ name: "http2", tls }, async ({ proxy, target }) => {
      const { address } = proxy;
      await using front = await inFront("port" in address ? address.port : 0, Buffer.from(V1));
      const options = { host: "127.0.0.1", servername: "a.example", ca: authority.ca };
      const client = connectTls({ ...options, port: portOf(front), ALPNProtocols: ["http/1.1"] });
      client.write(REQUEST);
      const far = await Talk.accept(target);
      expect((await far.head()).toLowerCase()).toContain("x-forwarded-for: 192.0.2.7\r\n");
      client.destroy();
    });
  });

  linux("a client that sends only its header is given up with the handshake", async () => {
    const options = { certificates: [OWN], proxyProtocol: TRUSTED, handshakeMs: 200 };
    await using relay = await TlsRelay.start(options);
    const client = await Wire.connect({ host: "127.0.0.1", port: relay.port });
    await client.write(V1);
    await within("its end", client.closed);
    await until("it is gone", () => relay.stats.active === 0);
    expect(relay.stats.refused.tls_handshake).toBe(1);
  });
});
