// @grpc/grpc-js on both sides of the proxy: all four kinds of calls, deadlines, metadata, errors, cancellation.

import { describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { credentials } from "@grpc/grpc-js";

import { freePort, inFolder } from "../../support/daemon.ts";
import { Gateway, writeCertificate } from "../../support/gateway.ts";
import { collect, EchoClient, type GrpcServer, startGrpcServer } from "../../support/grpc.ts";
import { testWith } from "../../support/programs.ts";

const UNAVAILABLE = 14;
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;

/** How calls come in, and how they go on. */
const WAYS = ["in clear", "over TLS"] as const;

/** Tests with a client whose calls pass the proxy on their way to a server. */
function testCalls(
  name: string,
  run: (client: EchoClient, server: GrpcServer) => Promise<void>,
): void {
  for (const way of WAYS) {
    testWith(["node", "openssl"], `${name} (${way})`, async () => {
      await inFolder(async (folder) => {
        const tls = way === "over TLS";
        const files = [join(folder, "cert.pem"), join(folder, "key.pem")] as const;
        await writeCertificate(...files);
        await using server = await startGrpcServer(...(tls ? files : []));
        const address = `${tls ? "h2" : "h2c"}://localhost:${server.port}`;
        const target = tls ? { address, tls: { ca_file: files[0] } } : address;
        await using gateway = await Gateway.start({ target }, { complains: true });
        using client = tls
          ? new EchoClient(
              `localhost:${gateway.tlsPort}`,
              credentials.createSsl(readFileSync(gateway.certFile)),
            )
          : new EchoClient(`127.0.0.1:${gateway.port}`);
        await run(client, server);
      });
    });
  }
}

describe("one message each way", () => {
  testCalls("arrives with its metadata, head and trailers", async (client) => {
    const said = Buffer.from([0, 255, 10, 13, 128]);
    const says = { "x-say": "plain text; with = signs", "x-say-bin": said };
    const outcome = await client.unary(Buffer.from("hello"), says);
    expect([outcome.code, outcome.messages]).toEqual([0, [Buffer.from("hello")]]);
    expect(outcome.metadata.get("x-said")).toEqual([says["x-say"]]);
    expect(outcome.metadata.get("x-said-bin")).toEqual([said]);
    expect(outcome.trailers.get("x-said-last")).toEqual([says["x-say"]]);
    expect(outcome.trailers.get("x-said-last-bin")).toEqual([said]);
  });

  testCalls("may be empty, or larger than every window", async (client) => {
    for (const bytes of [0, 1, 65_535, 5_000_000]) {
      const message = Buffer.alloc(bytes, "0123456789");
      const { code, messages } = await client.unary(message);
      expect([code, messages[0]!.equals(message)]).toEqual([0, true]);
    }
  });

  testCalls("ends with the status and the words that the server gave", async (client) => {
    const details = "nicht gefunden: ü, ☃ and 100%";
    for (const status of [3, 5, 13, 16]) {
      const says = { "x-status": String(status), "x-say": "kept" };
      const words = encodeURIComponent(details);
      const outcome = await client.unary(Buffer.from("x"), { ...says, "x-details": words });
      expect([outcome.code, outcome.details]).toEqual([status, details]);
      expect(outcome.messages).toEqual([]);
      expect(outcome.trailers.get("x-said-last")).toEqual(["kept"]);
    }
  });

  testCalls("200 at once on one connection each get their own answer", async (client) => {
    const texts = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    const outcomes = await Promise.all(texts.map((text) => client.unary(Buffer.from(text))));
    expect(outcomes.map(({ messages }) => messages[0]?.toString())).toEqual(texts);
  });
});

describe("streams", () => {
  testCalls("from the client are counted by the server", async (client) => {
    const { call, outcome } = client.up();
    for (let i = 0; i < 1_000; i++) call.write(Buffer.alloc(i));
    call.end();
    expect(await outcome).toBe(JSON.stringify({ messages: 1_000, bytes: (999 * 1_000) / 2 }));
  });

  testCalls("from the client may be empty", async (client) => {
    const { call, outcome } = client.up();
    call.end();
    expect(await outcome).toBe(JSON.stringify({ messages: 0, bytes: 0 }));
  });

  testCalls("from the server arrive whole, also when the client rests", async (client) => {
    const message = Buffer.alloc(20_000, "0123456789");
    const call = client.down(message, { "x-count": "500" });
    let received = 0;
    const { code, messages } = await collect(call, () => {
      if (++received % 100 !== 0) return;
      call.pause();
      setTimeout(() => call.resume(), 20);
    });
    expect([code, messages.length]).toEqual([0, 500]);
    expect(messages.every((each) => each.equals(message))).toBe(true);
  });

  testCalls(
    "from the server: each message arrives before the next is sent",
    async (client, server) => {
      const call = client.down(Buffer.from("tick"), {
        "x-count": "5",
        "x-step": "1",
        "x-say": "go",
      });
      let received = 0;
      call.on("metadata", () => server.peer.tell({ step: true }));
      const { code } = await collect(call, () => {
        received++;
        server.peer.tell({ step: true });
      });
      expect([code, received]).toEqual([0, 5]);
    },
  );

  testCalls("both ways: a conversation in which each waits for the other", async (client) => {
    const call = client.both();
    let sent = 0;
    const next = (): void => {
      if (sent < 100) call.write(Buffer.from(`${sent++}`));
      else call.end();
    };
    next();
    const { code, messages } = await collect(call, next);
    expect(code).toBe(0);
    expect(messages.map(String)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });

  testCalls("both ways: 20 MB of echo in full flow", async (client) => {
    const call = client.both();
    const outcome = collect(call);
    const message = Buffer.alloc(100_000, "abcdefg");
    for (let i = 0; i < 200; i++) call.write(message);
    call.end();
    const { code, messages } = await outcome;
    expect([code, messages.length]).toEqual([0, 200]);
    expect(messages.every((each) => each.equals(message))).toBe(true);
  });

  testCalls("that fail after messages give the messages first, then the status", async (client) => {
    const says = { "x-count": "3", "x-status": "8", "x-details": "enough" };
    const { code, details, messages } = await collect(client.down(Buffer.from("m"), says));
    expect([code, details, messages.length]).toEqual([8, "enough", 3]);
  });
});

describe("what comes to an early end", () => {
  testCalls("a deadline reaches the server, which hears of its end", async (client, server) => {
    const deadline = Date.now() + 700;
    const says = { "x-hang": "1" };
    const { code, metadata } = await client.unary(Buffer.from("x"), says, { deadline });
    expect(code).toBe(DEADLINE_EXCEEDED);
    const left = Number(metadata.get("x-left-ms")[0]);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(700);
    expect(await server.peer.says()).toMatchObject({ cancelled: "Unary" });
  });

  testCalls(
    "a stream that the client cancels is cancelled at the server",
    async (client, server) => {
      const call = client.both();
      const outcome = collect(call, () => call.cancel());
      call.write(Buffer.from("x"));
      expect((await outcome).code).toBe(CANCELLED);
      expect(await server.peer.says()).toMatchObject({ cancelled: "Both" });
    },
  );

  testCalls("a server that dies ends its streams as unavailable", async (client, server) => {
    const call = client.both();
    const outcome = collect(call, () => void server.peer[Symbol.asyncDispose]());
    call.write(Buffer.from("x"));
    const { code, messages } = await outcome;
    expect(messages.length).toBe(1);
    expect([UNAVAILABLE, 13]).toContain(code);
  });
});

describe("a proxy that cannot ask the server", () => {
  testWith(["node", "openssl"], "says that it is unavailable", async () => {
    const target = `h2c://127.0.0.1:${await freePort()}`;
    await using gateway = await Gateway.start({ target }, { complains: true });
    using client = new EchoClient(`127.0.0.1:${gateway.port}`);
    expect((await client.unary(Buffer.from("x"))).code).toBe(UNAVAILABLE);
  });
});

describe("a proxy that drains", () => {
  testWith(["node", "openssl"], "lets calls under way go on to their end", async () => {
    await using server = await startGrpcServer();
    const target = `h2c://127.0.0.1:${server.port}`;
    await using gateway = await Gateway.start({ target }, { complains: true });
    using client = new EchoClient(`127.0.0.1:${gateway.port}`);
    const call = client.both();
    let received = 0;
    const outcome = collect(call, () => {
      received++;
      if (received === 1) gateway.kill("SIGTERM");
      else if (received === 2) call.end();
    });
    call.write(Buffer.from("before"));
    await gateway.line(/"msg":"draining"/);
    call.write(Buffer.from("meanwhile"));
    const { code, messages } = await outcome;
    expect([code, messages.map(String)]).toEqual([0, ["before", "meanwhile"]]);
    await gateway.line(/"reset":0,"msg":"stopped"/);
    await gateway.ended();
  });
});
