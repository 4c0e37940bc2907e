// A reload of listeners over QUIC, whose sockets have one reader: the new generation takes the endpoints over, connections and
// streams that are there go on, new clients are served all the time, and what cannot be had changes nothing.

import { afterAll, describe, expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { LogLines } from "../support/log-lines.ts";
import { type PeerOptions, QuicPeer } from "../support/quic-relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const authority = new Authority();
const { certFile, keyFile } = authority.issue(["a.example"]);
const TLS = { tls: { cert_file: certFile, key_file: keyFile } };
afterAll(() => authority[Symbol.dispose]());

type Keys = Readonly<Record<string, unknown>>;

/** A target that answers each `?` with its name. */
async function named(name: string): Promise<WireServer> {
  return WireServer.listen((wire) => {
    wire.onData((chunk) => void wire.write(chunk.toString().replaceAll("?", name)));
    void wire.ending.then(() => wire.end());
  });
}

function portOf(proxy: Proxy, name: string): number {
  const listener = proxy.listeners().find(({ key }) => key.startsWith(name))!;
  const [bound] = listener.bound;
  return bound?.kind === "ip" ? bound.port : 0;
}

type Stream = ReturnType<QuicPeer["open"]>;

async function ask({ recorder }: Stream): Promise<string> {
  const before = recorder.text.length;
  recorder.write(Buffer.from("?"));
  await until("an answer", () => recorder.text.length > before || recorder.isClosed);
  return recorder.text.slice(before);
}

describe.each(["quiche", "bun"] as const)("a listener of quic with the driver %s", (driver) => {
  const quic = (target: WireServer, keys: Keys = {}): Keys => ({
    name: "quic",
    listen: "127.0.0.1:0",
    target: target.target,
    ...TLS,
    quic: { driver },
    ...keys,
  });
  const other = (target: WireServer): Keys => ({
    name: "tcp",
    listen: "127.0.0.1:0",
    target: target.target,
  });
  const connect = (proxy: Proxy, options: PeerOptions = {}): Promise<QuicPeer> =>
    QuicPeer.connect(portOf(proxy, "quic"), authority.ca, { driver, ...options });
  const asked = async (proxy: Proxy): Promise<string> => {
    const peer = await connect(proxy);
    const answer = await ask(peer.open());
    peer.connection.close(0, "");
    return answer;
  };

  test.each([1, 2])("hands its clients on; %p workers", async (workers) => {
    await using a = await named("a");
    await using b = await named("b");
    const log = new LogLines();
    const plan = (first: WireServer, second: WireServer) =>
      compiledPlan([quic(first), other(second)], { workers });
    await using proxy = await Proxy.start(plan(a, a), { log: log.log });
    const port = portOf(proxy, "quic");
    const held = (await connect(proxy)).open();
    expect(await ask(held)).toBe("a");
    await proxy.reload(plan(a, b)); // of another listener
    expect(await ask(held)).toBe("a");
    await proxy.reload(plan(b, b));
    expect(portOf(proxy, "quic")).toBe(port);
    expect(await asked(proxy)).toBe("b");
    expect(await ask(held)).toBe("a");
    await proxy.reload(plan(a, b));
    expect(await asked(proxy)).toBe("a");
    expect(await ask(held)).toBe("a");
    const { total } = Object.entries(proxy.stats().listeners).find(([key]) => /quic/.test(key))![1];
    expect(total).toBe(3);
    held.recorder.end();
    expect(await within("its end", held.recorder.closed)).toBeNull();
    expect(log.lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
    expect(await within("the drain", proxy.stop(10_000), 15_000)).toEqual({ reset: 0 });
  });

  test("serves whoever comes while its plan changes again and again", async () => {
    await using a = await named("a");
    await using b = await named("b");
    await using proxy = await Proxy.start(compiledPlan([quic(a)]));
    const held = (await connect(proxy)).open();
    let done = false;
    const client = async (): Promise<number> => {
      let served = 0;
      for (; !done; served++) expect(["a", "b"]).toContain(await asked(proxy));
      return served;
    };
    const clients = Array.from({ length: 4 }, client);
    for (let i = 0; i < 20; i++) {
      await proxy.reload(compiledPlan([quic(i % 2 === 0 ? b : a)]));
      expect(await ask(held)).toBe("a");
    }
    done = true;
    const served = await Promise.all(clients);
    expect(served.every((count) => count > 0)).toBe(true);
  }, 30_000);

  test("stays as it was if another listener cannot be opened", async () => {
    await using a = await named("a");
    await using b = await named("b");
    await using proxy = await Proxy.start(compiledPlan([quic(a)]));
    const held = (await connect(proxy)).open();
    const busy = { name: "tcp", listen: a.target, target: b.target };
    const failure = await proxy.reload(compiledPlan([quic(b), busy])).catch((error) => error);
    expect(failure).toMatchObject({ code: "ERR_LISTEN" });
    expect(await ask(held)).toBe("a");
    expect(await asked(proxy)).toBe("a");
    await proxy.reload(compiledPlan([quic(b)]));
    expect(await asked(proxy)).toBe("b");
    expect(await ask(held)).toBe("a");
  });

  test("shows other certificates to those who come later", async () => {
    await using a = await named("a");
    await using proxy = await Proxy.start(compiledPlan([quic(a)]));
    const held = (await connect(proxy)).open();
    const others = new Authority();
    const { certFile: cert_file, keyFile: key_file } = others.issue(["a.example"]);
    await proxy.reload(compiledPlan([quic(a, { tls: { cert_file, key_file } })]));
    const certificates = { group: 0, index: 0, ca: others.ca, certificate: null };
    const peer = await connect(proxy, { certificates });
    expect(await ask(peer.open())).toBe("a");
    await expect(connect(proxy)).rejects.toMatchObject({ code: "ERR_QUIC_HANDSHAKE" });
    expect(await ask(held)).toBe("a");
    others[Symbol.dispose]();
  });
});

test("what was agreed upon changes for handshakes that begin later", async () => {
  await using a = await named("a");
  const quic = (keys: Keys = {}): Keys => ({
    name: "quic",
    listen: "127.0.0.1:0",
    target: a.target,
    ...TLS,
    ...keys,
  });
  await using proxy = await Proxy.start(compiledPlan([quic()]));
  const connect = (options: PeerOptions = {}): Promise<QuicPeer> =>
    QuicPeer.connect(portOf(proxy, "quic"), authority.ca, options);
  const held = (await connect()).open();
  expect(await ask(held)).toBe("a");
  await proxy.reload(compiledPlan([quic({ alpn: ["other"], limits: { max_streams: 1 } })]));
  await expect(connect()).rejects.toMatchObject({ code: "ERR_QUIC_HANDSHAKE" });
  const peer = await connect({ alpn: ["other"] });
  expect(await ask(peer.open())).toBe("a");
  expect(peer.connection.openStream()).toBeNull();
  const ca_file = authority.file("clients.pem", authority.ca);
  const mutual = { ...TLS.tls, ca_file, client_auth: "require" };
  await proxy.reload(compiledPlan([quic({ tls: mutual })]));
  const refused = await connect()
    .then(({ closed }) => closed)
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: expect.stringMatching(/ERR_QUIC_(HANDSHAKE|CLOSED)/) });
  expect(await ask(held)).toBe("a");
});

test("what the driver bun cannot change is told, and nobody is let in who must show a certificate", async () => {
  await using a = await named("a");
  const quic = (keys: Keys = {}): Keys => ({
    name: "quic",
    listen: "127.0.0.1:0",
    target: a.target,
    ...TLS,
    quic: { driver: "bun" },
    ...keys,
  });
  const log = new LogLines();
  await using proxy = await Proxy.start(compiledPlan([quic()]), { log: log.log });
  const ca_file = authority.file("clients.pem", authority.ca);
  const mutual = { ...TLS.tls, ca_file, client_auth: "require" };
  await proxy.reload(compiledPlan([quic({ tls: mutual })]));
  await until("the warning", () => log.lines.some(({ level }) => level === "warn"));
  const [warning] = log.lines.filter(({ level }) => level === "warn");
  expect(warning!.message).toMatch(/driver bun of QUIC keeps .*client_auth/);
  const peer = await QuicPeer.connect(portOf(proxy, "quic"), authority.ca, { driver: "bun" });
  await within("the end", peer.closed);
  expect(Object.values(proxy.stats().listeners)[0]!.total).toBe(0);
});

/** Answers `/?` with its name at once, and `/held` piece by piece. */
function webServer(name: string) {
  let more: ReadableStreamDefaultController<Uint8Array> | undefined;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      if (!request.url.endsWith("/held")) return new Response(name);
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => void (more = controller),
      });
      return new Response(body);
    },
  });
  return {
    target: `127.0.0.1:${server.port}`,
    get began() {
      return more !== undefined;
    },
    say: (text: string) => more!.enqueue(Buffer.from(text)),
    end: () => more!.close(),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

describe("a listener of http3", () => {
  const http3 = (target: string, keys: Keys = {}): Keys => ({
    name: "http3",
    listen: "127.0.0.1:0",
    target,
    ...TLS,
    ...keys,
  });
  const get = (proxy: Proxy, path: string): Promise<Response> => {
    const options = {
      protocol: "h3",
      tls: { rejectUnauthorized: false },
      signal: AbortSignal.timeout(10_000),
    } as RequestInit;
    return fetch(`https://127.0.0.1:${portOf(proxy, "http3")}${path}`, options);
  };

  test.each([
    { workers: 1, keys: {} },
    { workers: 2, keys: {} },
    { workers: 2, keys: { tcp: false } },
  ])(
    "goes on with requests that are under way, and serves new ones: %p",
    async ({ workers, keys }) => {
      await using a = webServer("a");
      await using b = webServer("b");
      await using other = await named("c");
      const tcp = (idle: string): Keys => ({
        name: "tcp",
        listen: "127.0.0.1:0",
        target: other.target,
        timeouts: { idle },
      });
      const plan = (target: string, idle = "1m") =>
        compiledPlan([http3(target, keys), tcp(idle)], { workers });
      await using proxy = await Proxy.start(plan(a.target));
      const port = portOf(proxy, "http3");
      const begun = get(proxy, "/held");
      await until("the request", () => a.began);
      a.say("begins");
      const answer = (await begun).body!.getReader();
      await answer.read();
      const heard = async (text: string): Promise<void> => {
        a.say(text);
        const { value } = await within("a piece", answer.read());
        expect(Buffer.from(value!).toString()).toBe(text);
      };
      await heard("one");
      await proxy.reload(plan(a.target, "2m")); // of another listener
      await heard("two");
      expect(await get(proxy, "/").then((response) => response.text())).toBe("a");
      await proxy.reload(plan(b.target, "2m"));
      expect(portOf(proxy, "http3")).toBe(port);
      await heard("three");
      await until("answers of the new one", async () => {
        const response = await get(proxy, "/");
        return (await response.text()) === "b";
      });
      await proxy.reload(plan(a.target, "2m"));
      await heard("four");
      a.end();
      expect(await answer.read()).toMatchObject({ done: true });
      expect(await within("the drain", proxy.stop(10_000), 15_000)).toEqual({ reset: 0 });
    },
    30_000,
  );

  test("gives its port to one of quic that stands there instead, and takes it back", async () => {
    await using a = webServer("a");
    await using b = await named("b");
    const port = await freePort();
    const listen = `127.0.0.1:${port}`;
    const quic = { name: "quic", listen, target: b.target, ...TLS };
    await using proxy = await Proxy.start(compiledPlan([http3(a.target, { listen })]));
    expect(await get(proxy, "/").then((response) => response.text())).toBe("a");
    await proxy.reload(compiledPlan([quic]));
    const peer = await QuicPeer.connect(port, authority.ca);
    expect(await ask(peer.open())).toBe("b");
    await proxy.reload(compiledPlan([http3(a.target, { listen })]));
    expect(await get(proxy, "/").then((response) => response.text())).toBe("a");
  });
});
