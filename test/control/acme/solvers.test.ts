// The solvers of http-01 and tls-alpn-01 against Pebble, which looks for itself: through listeners of the proxy, and through
// one that is opened for the challenge alone where there is none.

import { afterAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ConnectionOptions } from "node:tls";

import { AcmeIssuer } from "../../../src/control/acme/acme-issuer.ts";
import { Http01Solver } from "../../../src/control/acme/http-01.ts";
import { PendingAnswers } from "../../../src/control/acme/pending-answers.ts";
import { type ChallengeHost, Presenter } from "../../../src/control/acme/presenter.ts";
import type { ChallengeTask, Solver } from "../../../src/control/acme/solver.ts";
import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import { TlsAlpn01Solver } from "../../../src/control/acme/tls-alpn-01.ts";
import { Proxy } from "../../../src/control/proxy.ts";
import { Questions } from "../../../src/control/questions.ts";
import { ACME_TLS_1 } from "../../../src/shared/challenges.ts";
import { Authority } from "../../support/certificates.ts";
import { compiledPlan } from "../../support/compiled-plan.ts";
import { answers, freePort } from "../../support/daemon.ts";
import { HttpProxy } from "../../support/http-proxy.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { testWith } from "../../support/programs.ts";
import { until, within } from "../../support/until.ts";
import { Wire, WireServer } from "../../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["b.example"]);
const folder = mkdtempSync(join(tmpdir(), "solvers-"));
afterAll(() => {
  authority[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const SIGNAL = new AbortController().signal;
let storages = 0;

/** Names of the certificate that the authority gives for it. */
async function order(pebble: Pebble, solver: Solver, names: readonly string[]): Promise<string> {
  const storage = new CertificateStorage(join(folder, String(storages++)));
  await storage.prepare(SIGNAL);
  const warn = (): void => {};
  const issuer = new AcmeIssuer({ plan: pebble.plan(), storage, warn });
  const request = { names, keyType: "p256", solvers: [solver], replaces: null } as const;
  const { chain } = await within("the order", issuer.issue(request, SIGNAL), 60_000);
  return new X509Certificate(chain).subjectAltName ?? "";
}

const NAMES = ["a.example", "www.a.example", "c.example"];
const EXPECTED = NAMES.map((name) => `DNS:${name}`).join(", ");

/** No listener, as of a library that obtains certificates for somebody else. */
function nobody(): ChallengeHost {
  const challenges = new PendingAnswers(() => [], new Questions());
  return { challenges, plan: { listeners: [] }, listeners: () => [] };
}

function task(domain = "a.example", token = "token"): ChallengeTask {
  return { domain, token, keyAuthorization: `${token}.thumbprint` };
}

describe("a certificate is obtained", () => {
  testWith(PEBBLE_PROGRAMS, "by http-01 through a listener of http", async () => {
    const port = await freePort();
    await using pebble = await Pebble.start({ httpPort: port });
    const redirect = { to: "https://{host}", status: 301 };
    const routes = [{ match: { path: "/*" }, redirect }];
    const keys = { listen: `127.0.0.1:${port}`, routes };
    await using running = await HttpProxy.start(keys, { workers: 2 });
    const { proxy } = running;
    expect(await order(pebble, new Http01Solver(proxy, port), NAMES)).toBe(EXPECTED);
    expect(proxy.challenges.all.size).toBe(0);
    expect(running.stats.http.requests).toBeGreaterThanOrEqual(NAMES.length);
  });

  testWith(PEBBLE_PROGRAMS, "by tls-alpn-01 through a listener over TLS", async () => {
    const port = await freePort();
    await using pebble = await Pebble.start({ tlsPort: port });
    const tls = {
      cert_file: OWN.certFile,
      key_file: OWN.keyFile,
      client_auth: "require",
      ca_file: authority.caFile,
      min_version: "1.3",
    };
    const keys = { name: "http2", listen: `127.0.0.1:${port}`, tls, target: "127.0.0.1:1" };
    await using running = await HttpProxy.start(keys, { workers: 2 });
    const { proxy } = running;
    expect(await order(pebble, new TlsAlpn01Solver(proxy, port), NAMES)).toBe(EXPECTED);
    expect(proxy.challenges.all.size).toBe(0);
    expect(running.stats.total).toBeGreaterThanOrEqual(NAMES.length);
    expect(running.stats.refused.tls_handshake).toBe(0);
  });

  for (const [type, make] of [
    ["http-01", (host: ChallengeHost, port: number) => new Http01Solver(host, port)],
    ["tls-alpn-01", (host: ChallengeHost, port: number) => new TlsAlpn01Solver(host, port)],
  ] as const) {
    testWith(PEBBLE_PROGRAMS, `by ${type} through a listener just for it`, async () => {
      const port = await freePort();
      await using pebble = await Pebble.start({ httpPort: port, tlsPort: port });
      const host = nobody();
      expect(await order(pebble, make(host, port), NAMES)).toBe(EXPECTED);
      expect(host.challenges.all.size).toBe(0);
      await until("it is closed", async () => !(await answers({ port, host: "127.0.0.1" })));
    });
  }
});

/** As an authority looks. @throws Error if the answer is not there. */
async function challenged(type: string, port: number): Promise<void> {
  if (type === "http-01") {
    const url = `http://127.0.0.1:${port}/.well-known/acme-challenge/token`;
    const answer = await fetch(url, { headers: { host: "a.example" }, keepalive: false });
    return expect(await answer.text()).toBe("token.thumbprint");
  }
  const options = {
    rejectUnauthorized: false,
    servername: "a.example",
    ALPNProtocols: [ACME_TLS_1],
  };
  const socket = connect({ port, host: "127.0.0.1", ...options });
  const shown = Promise.withResolvers<string | false | null>();
  socket.once("secureConnect", () => shown.resolve(socket.alpnProtocol));
  socket.once("error", shown.reject);
  expect(await within("the handshake", shown.promise)).toBe(ACME_TLS_1);
  socket.destroy();
}

describe("a listener just for a challenge", () => {
  test("answers this alone, for its host, over IPv4 and IPv6, while it is pending", async () => {
    const port = await freePort();
    const solver = new Http01Solver(nobody(), port);
    await solver.present(task(), SIGNAL);
    await solver.present(task("0:0::1", "other"), SIGNAL);
    const ask = async (at: string, path: string, host?: string): Promise<string> => {
      const headers: Record<string, string> = host === undefined ? {} : { host };
      const url = `http://${at}:${port}${path}`;
      const answer = await fetch(url, { headers, keepalive: false });
      return `${answer.status} ${(await answer.text()).trim()}`;
    };
    const path = "/.well-known/acme-challenge/token";
    const other = "/.well-known/acme-challenge/other";
    expect(await ask("127.0.0.1", path, "A.example")).toBe("200 token.thumbprint");
    expect(await ask("[::1]", other)).toBe("200 other.thumbprint");
    expect(await ask("127.0.0.1", other, "a.example")).toBe("404 404 Not Found");
    expect(await ask("127.0.0.1", path, "b.example")).toBe("404 404 Not Found");
    expect(await ask("127.0.0.1", `${path}x`, "a.example")).toBe("404 404 Not Found");
    expect(await ask("127.0.0.1", "/", "a.example")).toBe("404 404 Not Found");
    await solver.withdraw(task());
    expect(await ask("127.0.0.1", path, "a.example")).toBe("404 404 Not Found");
    expect(await ask("[::1]", other)).toBe("200 other.thumbprint");
    await solver.withdraw(task("0:0::1", "other"));
    await until("it is closed", async () => !(await answers({ port, host: "127.0.0.1" })));
  });

  test("over TLS answers this alone, and keeps nobody who says nothing", async () => {
    const port = await freePort();
    const solver = new TlsAlpn01Solver(nobody(), port);
    await solver.present(task(), SIGNAL);
    const look = async (options: ConnectionOptions): Promise<string> => {
      const outcome = Promise.withResolvers<string>();
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
      socket.once("secureConnect", () => outcome.resolve(socket.alpnProtocol || "nothing"));
      socket.once("error", () => outcome.resolve("refused"));
      socket.once("close", () => outcome.resolve("closed"));
      return within("the handshake", outcome.promise).finally(() => socket.destroy());
    };
    const idle = await Wire.connect({ host: "127.0.0.1", port });
    const junk = await Wire.connect({ host: "127.0.0.1", port });
    await junk.write("GET / HTTP/1.1\r\n\r\n");
    const servername = "A.example";
    const ALPNProtocols = [ACME_TLS_1];
    expect(await look({ servername, ALPNProtocols })).toBe(ACME_TLS_1);
    expect(await look({ servername, ALPNProtocols: ["h2"] })).toBe("refused");
    expect(await look({ servername, ALPNProtocols: ["h2", ACME_TLS_1] })).toBe("refused");
    expect(await look({ servername: "b.example", ALPNProtocols })).toMatch(/refused|closed/);
    expect(await look({ ALPNProtocols })).toMatch(/refused|closed/);
    await within("the end of junk", junk.ending);
    await solver.withdraw(task());
    await within("the end of who was idle", idle.ending);
    await until("it is closed", async () => !(await answers({ port, host: "127.0.0.1" })));
  });

  test("says who has the port, and the cures", async () => {
    await using taken = await WireServer.listen();
    for (const Kind of [Http01Solver, TlsAlpn01Solver]) {
      const solver = new Kind(nobody(), taken.port);
      const presented = solver.present(task(), SIGNAL);
      await expect(presented).rejects.toMatchObject({ code: "ERR_CHALLENGE" });
      await expect(presented).rejects.toThrow(
        new RegExp(
          `^a\\.example: .* port ${taken.port}.*another program listens.*auto_tls\\.(http|tls)_port.*another challenge$`,
        ),
      );
      await solver.withdraw(task());
    }
  });

  test("names a listener of this proxy that has the port for something else", async () => {
    await using running = await HttpProxy.start({ name: "tcp", target: "127.0.0.1:1" });
    const { port } = running.address as { port: number };
    const solver = new Http01Solver(running.proxy, port);
    await expect(solver.present(task(), SIGNAL)).rejects.toThrow(/"tcp 127\.0\.0\.1:0" listens/);
    await solver.withdraw(task());
  });

  test("is not needed where a server in front has the port, and may lead to a unix socket", async () => {
    await using taken = await WireServer.listen();
    const listen = `unix:${join(folder, "http.sock")}`;
    await using running = await HttpProxy.start({ listen, target: "127.0.0.1:1" });
    const solver = new Http01Solver(running.proxy, taken.port);
    await solver.present(task(), SIGNAL);
    const talk = await running.connect();
    await talk.say("GET /.well-known/acme-challenge/token HTTP/1.1\r\nhost: a.example\r\n\r\n");
    await talk.hear("\r\n\r\ntoken.thumbprint");
    talk.wire.end();
    await solver.withdraw(task());
  });

  test("makes way for one that a reload adds, also over TLS, and is there again if the reload is refused", async () => {
    const { certFile: cert_file, keyFile: key_file } = OWN;
    const target = "127.0.0.1:1";
    for (const { Kind, keys } of [
      { Kind: Http01Solver, keys: { name: "http", target } },
      { Kind: TlsAlpn01Solver, keys: { name: "http2", target, tls: { cert_file, key_file } } },
    ]) {
      const port = await freePort();
      await using taken = await WireServer.listen();
      const first = { name: "tcp", listen: "127.0.0.1:0", target };
      const added = { ...keys, listen: `127.0.0.1:${port}` };
      await using proxy = await Proxy.start(compiledPlan([first]));
      const solver = new Kind(proxy, port);
      await solver.present(task(), SIGNAL);
      const refused = compiledPlan([first, added, { ...first, listen: taken.target }]);
      const failure = await proxy.reload(refused).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "ERR_LISTEN" });
      await until("it is there again", () => answers({ port, host: "127.0.0.1" }));

      await proxy.reload(compiledPlan([first, added]));
      const total = (): number =>
        Object.entries(proxy.stats().listeners).find(([key]) => key.includes(String(port)))![1]
          .total;
      expect(total()).toBe(0);
      await challenged(solver.type, port);
      expect(total()).toBe(1);
      await solver.withdraw(task());
      expect(await answers({ port, host: "127.0.0.1" })).toBeTrue();
    }
  });

  test("says which privilege it lacks", async () => {
    const presenter = new Presenter(nobody(), {
      port: 80,
      serves: () => false,
      open: () => Promise.reject(Object.assign(new Error("no"), { code: "EACCES" })),
      listener: "an http listener",
      option: "auto_tls.http_port",
    });
    const answer = {
      type: "http-01",
      domain: "a.example",
      token: "t",
      keyAuthorization: "k",
    } as const;
    await expect(presenter.present(task(), answer, SIGNAL)).rejects.toThrow(/setcap/);
    presenter.withdraw(task());
  });

  test("that could not be opened is tried again, and closed once however many used it", async () => {
    const port = await freePort();
    const taken = await WireServer.listen(undefined, { host: "127.0.0.1", port });
    const solver = new Http01Solver(nobody(), port);
    await expect(solver.present(task(), SIGNAL)).rejects.toThrow("EADDRINUSE");
    await taken[Symbol.asyncDispose]();
    await solver.withdraw(task());
    const many = ["a", "b", "c"].map((token) => task("a.example", token));
    await Promise.all(many.map((each) => solver.present(each, SIGNAL)));
    expect(await answers({ port, host: "127.0.0.1" })).toBeTrue();
    await Promise.all(many.map((each) => solver.withdraw(each)));
    await until("it is closed", async () => !(await answers({ port, host: "127.0.0.1" })));
  });
});

describe("a solver", () => {
  test("is not fit for wildcards, and is for names and addresses", () => {
    for (const solver of [new Http01Solver(nobody(), 80), new TlsAlpn01Solver(nobody(), 443)]) {
      expect(solver.unfit("*.example.com")).toContain("dns-01");
      for (const name of ["example.com", "192.0.2.1", "2001:db8::1"]) {
        expect(solver.unfit(name)).toBeNull();
      }
    }
  });

  test("shows one answer by TLS for a name at a time: the next waits for its turn", async () => {
    await using running = await HttpProxy.start({
      name: "http2",
      tls: { cert_file: OWN.certFile, key_file: OWN.keyFile },
      target: "127.0.0.1:1",
    });
    const { port } = running.address as { port: number };
    const solver = new TlsAlpn01Solver(running.proxy, port);
    const pending = running.proxy.challenges.all;
    await solver.present(task("a.example", "one"), SIGNAL);
    const second = solver.present(task("a.example", "two"), SIGNAL);
    await solver.present(task("c.example", "three"), SIGNAL);
    expect(pending.size).toBe(2);
    const aborted = new AbortController();
    const third = solver.present(task("a.example", "four"), aborted.signal);
    aborted.abort(new Error("given up"));
    await expect(third).rejects.toThrow("given up");
    await solver.withdraw(task("a.example", "four"));
    await solver.withdraw(task("a.example", "one"));
    await within("its turn", second);
    expect(pending.size).toBe(2);
    await solver.withdraw(task("a.example", "two"));
    await solver.withdraw(task("c.example", "three"));
    expect(pending.size).toBe(0);
  });
});
