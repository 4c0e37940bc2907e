// The end of a real process, as those see it who are connected: probes are told first, then nobody new is taken, what is under
// way is brought to its end in each protocol's own words, and the admin listener answers until that is done.

import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";

import { stringify } from "yaml";

import { type ProxyProcess, startProxy } from "../commands/proxy-process.ts";
import { Authority } from "../support/certificates.ts";
import { answers, freePort, inFolder } from "../support/daemon.ts";
import { H2TestClient } from "../support/h2-client.ts";
import { H3TestClient } from "../support/h3-client.ts";
import { Talk } from "../support/http-proxy.ts";
import { QuicPeer } from "../support/quic-relay.ts";
import { Datagrams } from "../support/udp.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const HOST = "127.0.0.1";
const authority = new Authority();
const { certFile, keyFile } = authority.issue(["a.example"]);
const TLS = { cert_file: certFile, key_file: keyFile };
afterAll(() => authority[Symbol.dispose]());
const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";

interface Running {
  readonly child: ProxyProcess;
  readonly http: number;
  readonly tcp: number;
  readonly udp: number;
  readonly tls: number;
  readonly quic: number;
  readonly http3: number;
  /** Of requests. */
  readonly backend: WireServer;
  ready(): Promise<string>;
  accessLog(): string;
}

async function withProxy(keys: object, use: (running: Running) => Promise<void>): Promise<void> {
  await using backend = await WireServer.listen();
  await using echo = await WireServer.listen((wire) => {
    wire.onData((chunk) => void wire.write(chunk));
    void wire.ending.then(() => wire.end());
  });
  await using datagrams = await Datagrams.echo();
  await inFolder(async (folder) => {
    const [http, tcp, udp, tls, quic, http3, admin] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const [file, log] = [join(folder, "proxy.yaml"), join(folder, "access.log")];
    const protocols = [
      { name: "http", listen: `${HOST}:${http}`, target: backend.target },
      { name: "tcp", listen: `${HOST}:${tcp}`, target: echo.target },
      { name: "udp", listen: `${HOST}:${udp}`, target: datagrams.target },
      { name: "tls", listen: `${HOST}:${tls}`, target: echo.target, tls: TLS },
      { name: "quic", listen: `${HOST}:${quic}`, target: echo.target, tls: TLS },
      { name: "http3", listen: `${HOST}:${http3}`, target: backend.target, tls: TLS },
    ];
    const config = {
      workers: 2,
      access_log: log,
      admin: { listen: `${HOST}:${admin}` },
      ...keys,
      protocols,
    };
    writeFileSync(file, stringify(config));
    const child = startProxy("-config", file, "-log-format", "json");
    await child.line(/"msg":"started"/);
    const ready = async (): Promise<string> => {
      const answer = await fetch(`http://${HOST}:${admin}/readyz`);
      return `${answer.status} ${await answer.text()}`;
    };
    try {
      const accessLog = (): string => readFileSync(log, "utf8");
      await use({ child, http, tcp, udp, tls, quic, http3, backend, ready, accessLog });
    } finally {
      child.kill("SIGKILL");
    }
  });
}

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a.example\r\n\r\n`;

async function connect(port: number): Promise<Talk> {
  return new Talk(await Wire.connect({ host: HOST, port }));
}

describe("a process that is told to stop", () => {
  test(
    "ends in order",
    () =>
      withProxy({ shutdown_delay: "1500ms", shutdown_timeout: "30s" }, async (running) => {
        const { child, http, tcp, udp, tls, quic, http3, backend, ready } = running;
        const stream = await connect(tcp);
        await stream.say("a");
        await stream.hear("a");
        const download = await connect(http);
        await download.say(GET("/download"));
        const ofDownload = await Talk.accept(backend);
        await ofDownload.head();
        await ofDownload.say(`${ANSWER}he`);
        await download.hear("he");
        const slow = await connect(http);
        await slow.say(GET("/slow"));
        const ofSlow = await Talk.accept(backend);
        await ofSlow.head();
        const socket = await connect(http);
        const upgrade = "connection: upgrade\r\nupgrade: echo\r\n";
        await socket.say(`GET /socket HTTP/1.1\r\nhost: a.example\r\n${upgrade}\r\n`);
        const ofSocket = await Talk.accept(backend);
        await ofSocket.head();
        await ofSocket.say(`HTTP/1.1 101 Switching Protocols\r\n${upgrade}\r\n`);
        await socket.head();
        using client = await H2TestClient.connect(http);
        const asked = client.ask({ path: "/over-http2" });
        const ofAsked = await Talk.accept(backend);
        await ofAsked.head();
        using client3 = await H3TestClient.connect(http3, authority.ca);
        const asked3 = client3.ask({ path: "/over-http3" });
        const ofAsked3 = await Talk.accept(backend);
        await ofAsked3.head();
        await ofAsked3.say(`${ANSWER}he`);
        await until("a part", () => asked3.text === "he");
        await using known = await Datagrams.open();
        await known.ask("a", { host: HOST, port: udp });

        const encrypted = connectTls({
          host: HOST,
          port: tls,
          ca: authority.ca,
          servername: "a.example",
        });

        let decrypted = "";

        encrypted.on("data", (chunk: Buffer) => (decrypted += chunk.toString()));

        encrypted.write("a");

        await until("an echo over TLS", () => decrypted === "a");

        const peer = await QuicPeer.connect(quic, authority.ca);

        const { recorder } = peer.open();

        recorder.write(Buffer.from("a"));

        await until("an echo over QUIC", () => recorder.text === "a");

        child.kill("SIGTERM");
        await until("it is not ready", async () => (await ready()) === "503 not ready\ndraining\n");
        // Whoever does not know yet is served as before.
        const late = await connect(tcp);
        await late.say("b");
        await late.hear("b");
        late.wire.end();
        expect([client.backend.closing, client3.backend.closing]).toEqual([false, false]);

        for (const port of [tcp, http]) {
          await until(
            `port ${port} takes nobody`,
            async () => !(await answers({ host: HOST, port })),
          );
        }
        await until("GOAWAY has come", () => client.backend.closing && client3.backend.closing);
        await known.ask("b", { host: HOST, port: udp });

        await ofSlow.say(`${ANSWER}hello`);
        const answer = await slow.rest();
        expect(answer.toLowerCase()).toContain("\r\nconnection: close\r\n");
        expect(answer).toEndWith("hello");
        await ofDownload.say("llo");
        expect(await download.rest()).toEndWith("llo");
        await ofAsked.say(`${ANSWER}hello`);
        expect(await asked.over).toMatchObject({ status: 200, text: "hello" });
        await within("the end of the connection", client.gone);
        await ofAsked3.say("llo");
        expect(await asked3.over).toMatchObject({ status: 200, text: "hello" });
        await within("the end of the connection", client3.gone);
        await socket.say("c");
        await ofSocket.hear("c");
        await ofSocket.say("d");
        await socket.hear("d");
        socket.wire.end();
        ofSocket.wire.end();
        encrypted.write("b");
        await until("an echo over TLS", () => decrypted === "ab");
        encrypted.end();
        recorder.write(Buffer.from("b"));
        await until("an echo over QUIC", () => recorder.text === "ab");
        peer.connection.close(0, "");

        await stream.say("e");
        await stream.hear("e");
        expect(await ready()).toStartWith("503");
        stream.wire.end();

        const { code, stderr } = await within("the end", child.outcome, 20_000);
        expect(code).toBe(0);
        const said = [...stderr.matchAll(/"msg":"([^"]+)"/g)].map(([, text]) => text);
        expect(said.slice(-3)).toEqual([
          "not ready, clients are still taken",
          "draining",
          "stopped",
        ]);
        for (const path of ["/slow", "/download", "/over-http2", "/over-http3", "/socket"]) {
          expect(running.accessLog()).toContain(`"${path}"`);
        }
        await expect(ready()).rejects.toThrow();
      }),
    60_000,
  );

  test(
    "a second time ends at once, also while it still takes clients",
    () =>
      withProxy({ shutdown_delay: "60s" }, async ({ child, tcp, ready }) => {
        const stream = await connect(tcp);
        await stream.say("a");
        await stream.hear("a");
        child.kill("SIGTERM");
        await until("it is not ready", async () => (await ready()).startsWith("503"));
        child.kill("SIGTERM");
        expect(await within("the reset", stream.wire.ending)).toBe("ECONNRESET");
        expect((await within("the end", child.outcome, 20_000)).code).toBe(1);
      }),
    60_000,
  );
});
