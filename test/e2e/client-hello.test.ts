// ClientHellos of clients that no one here wrote, taken from a socket that they connect to. Each is cut at every byte, cut
// into other records, and changed at every byte.

import { expect, test } from "bun:test";
import { connect as connectTls } from "node:tls";

import { parseClientHello } from "../../src/l4/tls/client-hello.ts";
import { recut } from "../l4/tls/hellos.ts";
import { inFolder } from "../support/daemon.ts";
import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";

const CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name))
  .find((path) => path !== null);

/** What a client sends until it is a hello, or nothing more can make it one. */
async function capture(
  start: (port: number) => { kill(): void } | { destroy(): void },
): Promise<Uint8Array> {
  const first = Promise.withResolvers<Uint8Array>();
  const seen = new Map<object, Buffer>();
  using server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, chunk) {
        const bytes = Buffer.concat([seen.get(socket) ?? Buffer.alloc(0), chunk]);
        seen.set(socket, bytes);
        if (parseClientHello(bytes).type === "more") return;
        first.resolve(Uint8Array.from(bytes));
        socket.end();
      },
    },
  });
  const client = start(server.port);
  try {
    return await within("the client's hello", first.promise, 30_000);
  } finally {
    if ("kill" in client) client.kill();
    else client.destroy();
  }
}

function spawn(command: readonly string[]): { kill(): void } {
  return Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
}

function expectHello(bytes: Uint8Array, sni: string | null, alpn: readonly string[]): void {
  const expected = { type: "hello", hello: { sni, alpn } } as const;
  expect(parseClientHello(bytes)).toEqual(expected);
  for (let cut = 0; cut < bytes.length; cut++)
    expect(parseClientHello(bytes.subarray(0, cut)).type).toBe("more");
  for (const length of [1, 5, 100])
    expect(parseClientHello(recut(bytes, Array<number>(bytes.length).fill(length)))).toEqual(
      expected,
    );
  for (let at = 0; at < bytes.length; at++) {
    for (const change of [1, 0x80, 0xff]) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= change;
      expect(parseClientHello(changed).type).toBeOneOf(["hello", "invalid", "not_tls", "more"]);
    }
  }
}

const s_client = (port: number, ...options: readonly string[]): { kill(): void } =>
  spawn([program("openssl"), "s_client", "-connect", `127.0.0.1:${port}`, ...options]);

testWith(["openssl"], "openssl s_client asks for a name and protocols", async () => {
  const bytes = await capture((port) =>
    s_client(port, "-servername", "Www.Example.com", "-alpn", "h2,http/1.1"),
  );
  expectHello(bytes, "www.example.com", ["h2", "http/1.1"]);
});

testWith(["openssl"], "openssl s_client of TLS 1.2 without a name", async () => {
  expectHello(await capture((port) => s_client(port, "-tls1_2", "-noservername")), null, []);
});

testWith(["curl"], "curl asks for the name in its URL", async () => {
  const bytes = await capture((port) => {
    const name = "api.example.com";
    const resolve = ["--resolve", `${name}:${port}:127.0.0.1`];
    return spawn([
      program("curl"),
      "--silent",
      "--noproxy",
      "*",
      ...resolve,
      `https://${name}:${port}/`,
    ]);
  });
  expectHello(bytes, "api.example.com", ["h2", "http/1.1"]);
});

testWith(["curl"], "curl of an address sends no name", async () => {
  const bytes = await capture((port) =>
    spawn([
      program("curl"),
      "--silent",
      "--noproxy",
      "*",
      "--http1.1",
      `https://127.0.0.1:${port}/`,
    ]),
  );
  expectHello(bytes, null, ["http/1.1"]);
});

test("BoringSSL asks for a name and protocols", async () => {
  const bytes = await capture((port) => {
    const options = { host: "127.0.0.1", port, servername: "db.example.com", ALPNProtocols: ["x"] };
    return connectTls(options).on("error", () => {});
  });
  expectHello(bytes, "db.example.com", ["x"]);
});

if (CHROMIUM === undefined) {
  process.stderr.write(
    'SKIPPED "Chromium sends a post-quantum key share": chromium missing, apt-get install chromium\n',
  );
} else {
  const switches =
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking";
  test("Chromium sends a post-quantum key share, and the name in its URL", async () => {
    await inFolder(async (folder) => {
      const bytes = await capture((port) => {
        const resolve = "--host-resolver-rules=MAP * 127.0.0.1";
        const url = `https://www.example.com:${port}/`;
        const own = [`--user-data-dir=${folder}`, resolve, url];
        return spawn([CHROMIUM, ...switches.split(" "), ...own]);
      });
      expectHello(bytes, "www.example.com", ["h2", "http/1.1"]);
      expect(bytes.length).toBeGreaterThan(1_216);
    });
  });
}
