// The PROXY protocol with nginx and haproxy on the other end, in both directions, through every engine: each names the client
// who connected first.

import { describe, expect } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

import { StreamCheck } from "../support/bytes.ts";
import { Daemon } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { program, testWith } from "../support/programs.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const TIMEOUTS = "  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n";
const ANY = { accept: "any", trusted: ["127.0.0.1"] } as const;
/** Debian's place of nginx's stream module, which other builds have inside. */
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

function haproxy(configuration: (port: number) => string): Promise<Daemon> {
  return Daemon.start((folder, port) => {
    const file = join(folder, "haproxy.cfg");
    writeFileSync(file, `global\n  nbthread 1\ndefaults\n${TIMEOUTS}${configuration(port)}`);
    return [program("haproxy"), "-db", "-f", file];
  });
}

function nginx(head: string, configuration: (folder: string, port: number) => string) {
  return Daemon.start((folder, port) => {
    const file = join(folder, "nginx.conf");
    const common = `worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log stderr warn;
      events { worker_connections 64; }`;
    writeFileSync(file, `${head} ${common} ${configuration(folder, port)}`);
    return [program("nginx"), "-p", folder, "-c", file];
  });
}

/** Answers with who nginx thinks the client is. */
function nginxTarget(): Promise<Daemon> {
  return nginx(
    "",
    (folder, port) => `http {
      access_log off;
      client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      server {
        listen 127.0.0.1:${port} proxy_protocol;
        return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port";
      }
    }`,
  );
}

/** Answers with who haproxy thinks the client is. */
function haproxyTarget(): Promise<Daemon> {
  const answer = "http-request return status 200 content-type text/plain lf-string";
  return haproxy(
    (port) => `frontend all
  mode http
  bind 127.0.0.1:${port} accept-proxy
  ${answer} "%[src] %[src_port] %[dst_port]"
`,
  );
}

/** Asks over HTTP. @returns the body, and the port that the client had. */
async function ask(port: number): Promise<{ body: string; clientPort: number }> {
  const answer = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
  let text = "";
  let clientPort = 0;
  socket.setEncoding("latin1");
  socket.on("connect", () => (clientPort = socket.localPort!));
  socket.on("data", (chunk) => (text += String(chunk)));
  socket.on("close", () => answer.resolve(text));
  socket.on("error", answer.reject);
  const body = (await within("the answer", answer.promise)).split("\r\n\r\n")[1] ?? "";
  return { body, clientPort };
}

const TARGETS = [
  ["nginx", nginxTarget],
  ["haproxy", haproxyTarget],
] as const;

/** Programs that put a header before each client of theirs, and send it on to a port. */
const FRONTS: readonly (readonly ["nginx" | "haproxy", string, (to: number) => Promise<Daemon>])[] =
  [
    [
      "nginx",
      "proxy_protocol on",
      (to) =>
        nginx(
          existsSync(STREAM_MODULE) ? `load_module ${STREAM_MODULE};` : "",
          (_folder, port) => `stream {
          server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${to}; proxy_protocol on; }
        }`,
        ),
    ],
    ...["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"].map(
      (option) =>
        [
          "haproxy",
          option,
          (to: number) =>
            haproxy(
              (port) => `listen all
  mode tcp
  unique-id-format %[uuid()]
  bind 127.0.0.1:${port}
  server target 127.0.0.1:${to} ${option}
`,
            ),
        ] as const,
    ),
  ];

const portOf = (relay: Relay): number => (relay.bound as { port: number }).port;

forEveryEngine((engine) => {
  describe("sent", () => {
    for (const [name, start] of TARGETS) {
      for (const send of ["v1", "v2"] as const) {
        testWith([name], `${send} to ${name} names the client (${engine})`, async () => {
          await using target = await start();
          const listener = { target: `127.0.0.1:${target.port}`, proxyProtocol: { send } };
          await using relay = await Relay.start(engine, listener);
          const { body, clientPort } = await ask(portOf(relay));
          expect(body).toBe(`127.0.0.1 ${clientPort} ${portOf(relay)}`);
        });
      }
    }
  });

  describe("accepted", () => {
    for (const [name, option, start] of FRONTS) {
      testWith([name], `from ${name} with ${option} (${engine})`, async () => {
        await using server = await WireServer.echo();
        const options = { target: server.target, proxyProtocol: ANY };
        await using relay = await Relay.start(engine, options);
        await using front = await start(portOf(relay));
        const client = await Wire.connect({ host: "127.0.0.1", port: front.port });
        await client.write("hello");
        expect(await within("the echo", client.readHead(5))).toBe("hello");
        const shown = `127.0.0.1:${client.socket.localPort}`;
        await until("the client is shown", () =>
          relay.proxy.connections().some((row) => row.client === shown),
        );
        // Ended only then: nginx does not keep a connection that is half closed.
        const check = new StreamCheck(1);
        client.onData((chunk) => check.take(chunk));
        await client.sendStream(1, 5_000_000);
        await until("the stream is back", () => check.received === 5_000_000);
        client.end();
        expect(relay.stats.refused).toMatchObject({ proxy_header: 0, proxy_untrusted: 0 });
      });
    }
  });

  testWith(
    ["nginx", "haproxy"],
    `a client of haproxy is known to nginx behind it (${engine})`,
    async () => {
      await using target = await nginxTarget();
      const proxyProtocol = { ...ANY, send: "v2" } as const;
      const listener = { target: `127.0.0.1:${target.port}`, proxyProtocol };
      await using relay = await Relay.start(engine, listener);
      await using front = await FRONTS[2]![2](portOf(relay));
      const { body, clientPort } = await ask(front.port);
      expect(body).toBe(`127.0.0.1 ${clientPort} ${front.port}`);
    },
  );
});
