// `ws` and Node's HTTP/2 on both sides of the proxy: WebSockets over HTTP/1.1 and HTTP/2 in every combination.

import { describe, expect } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import { Gateway } from "../../support/gateway.ts";
import { NodePeer } from "../../support/node-peer.ts";
import { testWith } from "../../support/programs.ts";
import { Wire } from "../../support/wire.ts";

type Said = Record<string, unknown>;
interface Ports {
  http1: number;
  http2: number;
}

interface Combination {
  readonly client: 1 | 2;
  /** The client comes over TLS. */
  readonly tls: boolean;
  readonly backend: 1 | 2;
}

const COMBINATIONS: readonly Combination[] = [
  { client: 1, tls: false, backend: 1 },
  { client: 2, tls: false, backend: 1 },
  { client: 1, tls: false, backend: 2 },
  { client: 2, tls: false, backend: 2 },
  { client: 1, tls: true, backend: 1 },
  { client: 2, tls: true, backend: 1 },
];

class Conversation implements AsyncDisposable {
  readonly client: NodePeer<Said>;
  readonly server: NodePeer<Said>;
  readonly #gateway: Gateway;
  readonly #combination: Combination;

  private constructor(
    client: NodePeer<Said>,
    server: NodePeer<Said>,
    gateway: Gateway,
    combination: Combination,
  ) {
    this.client = client;
    this.server = server;
    this.#gateway = gateway;
    this.#combination = combination;
  }

  static async begin(combination: Combination): Promise<Conversation> {
    const server = await NodePeer.start<Said>(new URL("./peers/ws-server.ts", import.meta.url));
    const ports = (await server.says()) as unknown as Ports;
    const peer = await NodePeer.start<Said>(new URL("./peers/ws-client.ts", import.meta.url));
    const target =
      combination.backend === 1
        ? `http://127.0.0.1:${ports.http1}`
        : `h2c://127.0.0.1:${ports.http2}`;
    const gateway = await Gateway.start({ target });
    return new Conversation(peer, server, gateway, combination);
  }

  /** Tells the client something. @returns what came of it. */
  async does(message: Said): Promise<Said> {
    this.client.tell(message);
    return this.client.says();
  }

  open(path: string, protocol?: string): Promise<Said> {
    const { client: version, tls } = this.#combination;
    const { port, tlsPort } = this.#gateway;
    const at = tls ? `wss://localhost:${tlsPort}` : `ws://127.0.0.1:${port}`;
    return this.does({ open: at + path, version, ...(protocol !== undefined && { protocol }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.#gateway[Symbol.asyncDispose]();
  }
}

for (const combination of COMBINATIONS) {
  const { client, tls, backend } = combination;
  const test = (name: string, run: (talk: Conversation) => Promise<void>): void =>
    testWith(["node", "openssl"], name, async () => {
      await using talk = await Conversation.begin(combination);
      await run(talk);
    });
  describe(`from HTTP/${client}${tls ? " over TLS" : ""} to HTTP/${backend}`, () => {
    test("messages of every size come back, text as text", async (talk) => {
      expect(await talk.open("/echo")).toMatchObject({ opened: { protocol: "" } });
      expect(await talk.does({ send: "héllo ☃" })).toEqual({ echo: "héllo ☃" });
      expect(await talk.does({ send: "" })).toEqual({ echo: "" });
      for (const bytes of [0, 1, 125, 126, 65_535, 65_536, 20_000_000]) {
        expect(await talk.does({ bytes })).toEqual({ bytes, same: true });
      }
    });

    test("what both sides agreed on is what they both agreed on", async (talk) => {
      const answer = (await talk.open("/echo", "chat")) as { opened: Record<string, string> };
      expect(answer.opened.protocol).toBe("chat");
      const agreed = client === 1 && backend === 1 ? "permessage-deflate" : "";
      expect(answer.opened.extensions).toBe(agreed);
      expect(answer.opened).not.toHaveProperty("accept");
    });

    test("pings pass both ways", async (talk) => {
      await talk.open("/ping");
      expect(await talk.client.says()).toEqual({ pinged: "are you there?" });
      await talk.server.says();
      expect(await talk.server.says()).toEqual({ pong: "are you there?" });
      expect(await talk.does({ ping: "and you?" })).toEqual({ pong: "and you?" });
    });

    test("the client's close code and reason reach the server, which answers", async (talk) => {
      await talk.open("/echo");
      await talk.server.says();
      const closed = { closed: { code: 4_001, reason: "bye" } };
      expect(await talk.does({ close: 4_001, reason: "bye" })).toEqual(closed);
      expect(await talk.server.says()).toEqual(closed);
    });

    test("the server's close code and reason reach the client", async (talk) => {
      await talk.open("/echo");
      await talk.server.says();
      const closed = { closed: { code: 1_013, reason: "try later" } };
      expect(await talk.does({ send: "close 1013 try later" })).toEqual(closed);
      expect(await talk.server.says()).toEqual(closed);
    });

    test("a client that vanishes is gone for the server, too", async (talk) => {
      await talk.open("/echo");
      await talk.server.says();
      expect(await talk.does({ cut: true })).toMatchObject({ closed: { code: 1_006 } });
      const closed = (await talk.server.says()) as Said;
      expect(closed.closed ?? closed.error).toBeDefined();
    });

    test("a refusal of the server is the client's answer", async (talk) => {
      expect(await talk.open("/no")).toEqual({ refused: 403 });
    });
  });
}

/** An upgrade to another protocol, whose bytes are the peers' own. */
testWith(["openssl"], "each direction of an upgraded connection ends by itself", async () => {
  const length = 3_000_000;
  const backend = createServer();
  backend.on("upgrade", (request, stream: Socket, head) => {
    const fields = `Connection: upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n`;
    stream.write(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`);
    let asked = head.toString();
    stream.on("data", (chunk) => (asked += chunk.toString()));
    stream.on("end", () => stream.end(asked + "x".repeat(length)));
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  const { port } = backend.address() as AddressInfo;
  try {
    await using gateway = await Gateway.start({ target: `127.0.0.1:${port}` });
    const client = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
    const head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";
    await client.write(`${head}at once, `);
    expect(await client.readHead(12)).toBe("HTTP/1.1 101");
    await client.write("later, ");
    client.end();
    const rest = await client.readAll();
    const answer = rest.slice(rest.indexOf("\r\n\r\n") + 4);
    expect(answer.slice(0, 16)).toBe("at once, later, ");
    expect(answer.length).toBe(16 + length);
  } finally {
    backend.close();
  }
});

describe("a handshake that is wrong", () => {
  const test = (name: string, run: (gateway: Gateway) => Promise<void>): void =>
    testWith(["node", "openssl"], name, async () => {
      const backend = createServer((_request, response) => response.end("page"));
      backend.on("upgrade", (_request, stream: Socket) => {
        const fields = "Connection: upgrade\r\nUpgrade: websocket\r\n";
        const accept = "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n";
        stream.on("error", () => {}); // the proxy leaves
        stream.write(`HTTP/1.1 101 Switching Protocols\r\n${fields}${accept}\r\nframes`);
      });
      await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
      const { port } = backend.address() as AddressInfo;
      try {
        await using gateway = await Gateway.start({ target: `127.0.0.1:${port}` });
        await run(gateway);
      } finally {
        backend.close();
      }
    });

  for (const version of [1, 2]) {
    test(`on the server's side is a 502 for a client of HTTP/${version}`, async (gateway) => {
      const source = new URL("./peers/ws-client.ts", import.meta.url);
      await using client = await NodePeer.start<Said>(source);
      client.tell({ open: `ws://127.0.0.1:${gateway.port}/`, version });
      expect(await client.says()).toEqual({ refused: 502 });
    });
  }

  test("on the client's side is a 400, and its connection goes on", async (gateway) => {
    const client = await Wire.connect({ host: "127.0.0.1", port: gateway.port });
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    await client.write(`GET / HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Key: short\r\n\r\n`);
    expect(await client.readHead(12)).toBe("HTTP/1.1 400");
    await client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const rest = await client.readAll();
    expect(rest).toContain("Sec-WebSocket-Key must be there once");
    expect(rest).toContain("HTTP/1.1 200");
    expect(rest).toEndWith("page");
  });
});
