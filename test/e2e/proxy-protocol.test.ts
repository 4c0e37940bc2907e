// haproxy on both ends of the PROXY protocol: what it sends is read, and what is written here it believes.

import { describe, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

import type { Endpoints } from "../../src/l4/peer.ts";
import { encodeProxyHeader, type ProxyExtras } from "../../src/l4/proxy/encode.ts";
import type { ProxyVersion } from "../../src/l4/proxy/header.ts";
import { parseProxyHeader } from "../../src/l4/proxy/parse.ts";
import { parseIp } from "../../src/shared/ip.ts";
import { FIRST_BYTES } from "../../src/shared/limits.ts";
import { Authority } from "../support/certificates.ts";
import { Daemon } from "../support/daemon.ts";
import { HttpProxy, Talk } from "../support/http-proxy.ts";
import { program, testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const TIMEOUTS = "  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n";

function startHaproxy(configuration: (port: number) => string): Promise<Daemon> {
  return Daemon.start((folder, port) => {
    const file = join(folder, "haproxy.cfg");
    writeFileSync(file, `global\n  nbthread 1\ndefaults\n${TIMEOUTS}${configuration(port)}`);
    return [program("haproxy"), "-db", "-f", file];
  });
}

/** Sends to a server, and returns all that it answers until it closes. */
function ask(port: number, bytes: Uint8Array): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => (text += String(chunk)));
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
  return within("haproxy's answer", answer);
}

describe("haproxy sends", () => {
  const wishes: readonly (readonly [string, ProxyVersion])[] = [
    ["send-proxy", 1],
    ["send-proxy-v2", 2],
    ["send-proxy-v2 proxy-v2-options crc32c,unique-id", 2],
  ];
  for (const [option, version] of wishes) {
    testWith(["haproxy"], `${option}, and it is read`, async () => {
      const first = Promise.withResolvers<Buffer>();
      await using target = createServer((socket) => {
        const seen: Buffer[] = [];
        socket.on("data", (chunk: Buffer) => {
          seen.push(chunk);
          const bytes = Buffer.concat(seen);
          if (bytes.includes("hello")) first.resolve(bytes);
        });
        socket.on("error", () => {});
        socket.on("end", () => socket.end());
      });
      await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
      const { port: targetPort } = target.address() as AddressInfo;
      await using haproxy = await startHaproxy(
        (port) => `listen all
  mode tcp
  unique-id-format %[uuid()]
  bind 127.0.0.1:${port}
  server target 127.0.0.1:${targetPort} ${option}
`,
      );
      const client = connect(haproxy.port, "127.0.0.1", () => client.write("hello"));
      const bytes = await within("the header", first.promise);
      const clientPort = client.localPort;
      client.destroy();
      const outcome = parseProxyHeader(bytes, version === 1 ? "v1" : "v2");
      if (outcome.type !== "header") throw new Error(JSON.stringify(outcome));
      expect(bytes.subarray(outcome.length).toString()).toBe("hello");
      const { header } = outcome;
      expect([header.version, header.command]).toEqual([version, "PROXY"]);
      expect(header.uniqueId?.length).toBe(option.includes("unique-id") ? 36 : undefined);
      const local = { kind: "ip", ip: parseIp("127.0.0.1")! } as const;
      expect(header.endpoints).toEqual({
        source: { ...local, port: clientPort! },
        destination: { ...local, port: haproxy.port },
      });
    });
  }
});

describe("haproxy takes", () => {
  const ends = (source: string, destination: string): Endpoints => ({
    source: { kind: "ip", ip: parseIp(source)!, port: 1234 },
    destination: { kind: "ip", ip: parseIp(destination)!, port: 443 },
  });
  const unix = { kind: "unix", path: "" } as const;
  const named = { authority: "a.example", checksum: true };
  const cases: readonly (readonly [Endpoints, ProxyExtras, string | RegExp])[] = [
    [ends("192.0.2.1", "192.0.2.2"), {}, "192.0.2.1 1234 192.0.2.2 443 "],
    [ends("2001:db8::1", "2001:db8::2"), {}, "2001:db8::1 1234 2001:db8::2 443 "],
    [ends("::ffff:192.0.2.1", "192.0.2.2"), named, "192.0.2.1 1234 192.0.2.2 443 a.example"],
    [ends("192.0.2.1", "::1"), {}, "::ffff:192.0.2.1 1234 ::1 443 "],
    [{ source: unix, destination: unix }, {}, /^127.0.0.1 /],
  ];
  testWith(["haproxy"], "headers of both versions", async () => {
    await using haproxy = await startHaproxy(
      (port) => `frontend all
  mode http
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority]"
`,
    );
    const into = new Uint8Array(FIRST_BYTES.proxyHeaderMaxBytes);
    for (const [endpoints, extras, expected] of cases) {
      for (const version of [1, 2] as const) {
        const length = encodeProxyHeader(into, version, endpoints, extras);
        const request = Buffer.from("GET / HTTP/1.0\r\n\r\n");
        const answer = await ask(haproxy.port, Buffer.concat([into.subarray(0, length), request]));
        const said = answer.split("\r\n\r\n")[1];
        const text =
          typeof expected === "string" && version === 1
            ? expected.replace(/a.example$/, "")
            : expected;
        if (typeof text === "string") expect(said, `version ${version}`).toBe(text);
        else expect(said).toMatch(text);
      }
    }
  });
});

describe("requests over TLS behind haproxy", () => {
  for (const option of ["send-proxy", "send-proxy-v2"]) {
    testWith(["haproxy", "openssl"], `carry its clients' addresses (${option})`, async () => {
      using authority = new Authority();
      const { certFile, keyFile } = authority.issue(["a.example"]);
      await using target = await WireServer.listen();
      await using proxy = await HttpProxy.start({
        name: "http2",
        target: `http://${target.target}`,
        tls: { cert_file: certFile, key_file: keyFile },
        proxy_protocol: { accept: "any", trusted: ["127.0.0.1"] },
        // Whom haproxy names is not itself: its clients' connections come from another address.
        allow: ["127.0.0.9"],
      });
      const { port } = proxy.address as { port: number };
      await using haproxy = await startHaproxy(
        (front) =>
          `listen front\n  mode tcp\n  bind 127.0.0.1:${front}\n  server s 127.0.0.1:${port} ${option}\n`,
      );
      const client = connectTls({
        port: haproxy.port,
        host: "127.0.0.1",
        localAddress: "127.0.0.9",
        servername: "a.example",
        ca: authority.ca,
        ALPNProtocols: ["http/1.1"],
      } as ConnectionOptions);
      client.write("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
      const far = await within("the target's client", Talk.accept(target));
      expect((await far.head()).toLowerCase()).toContain("x-forwarded-for: 127.0.0.9\r\n");
      client.destroy();
    });
  }
});
