// Clients that keep their connections lose no request over a reload, however it falls: they ask again and again, obey what
// answers say of the connection, and do not ask on one that has rested for long.

import { afterAll, expect, test } from "bun:test";
import { createServer, type ServerResponse } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

import { Proxy } from "../../src/control/proxy.ts";
import { HTTP_RELAY } from "../../src/shared/limits.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress } from "../support/wire.ts";

const RELOADS = 12;
/** Between two of them. */
const ANSWERS = 12;
const CLIENTS = 6;

const authority = new Authority();
const { certFile, keyFile } = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

interface Client {
  /** @returns the body. @throws Error if a request was lost. */
  ask(path: string): Promise<string>;
  /** How often it was told that a connection takes no more requests. */
  readonly farewells: number;
  end(): void;
}

type Open = () => Promise<Wire>;

/** One that keeps a connection for half as long as the proxy lets it rest: then none of its requests comes too late. */
class Http1Client implements Client {
  farewells = 0;
  readonly #open: Open;
  #wire: Wire | null = null;
  heard = "";
  #over = false;
  #changed = (): void => {};
  #answeredMs = 0;

  constructor(open: Open) {
    this.#open = open;
  }

  async ask(path: string): Promise<string> {
    const wire = await this.#kept();
    const changed = Promise.withResolvers<void>();
    this.#changed = changed.resolve;
    await wire.write(`GET ${path} HTTP/1.1\r\nhost: a.example\r\n\r\n`);
    if (!this.#isWhole && !this.#over) await within("an answer", changed.promise);
    if (!this.#isWhole) throw new Error(`closed behind "${this.heard}"`);
    const [head = "", body = ""] = this.heard.split("\r\n\r\n");
    this.heard = "";
    this.#answeredMs = performance.now();
    if (head.toLowerCase().includes("connection: close")) this.#farewell();
    return body;
  }

  async #kept(): Promise<Wire> {
    const isOld = performance.now() - this.#answeredMs > HTTP_RELAY.drainRestMs / 2;
    if (this.#wire !== null && (isOld || this.#over)) this.end();
    if (this.#wire !== null) return this.#wire;
    const wire = await this.#open();
    this.#wire = wire;
    this.#over = false;
    wire.onData((bytes) => {
      this.heard += bytes.toString("latin1");
      if (this.#isWhole) this.#changed();
    });
    void this.#watch(wire);
    return wire;
  }

  async #watch(wire: Wire): Promise<void> {
    await wire.ending;
    if (this.#wire !== wire) return;
    this.#over = true;
    this.#changed();
  }

  get #isWhole(): boolean {
    const at = this.heard.indexOf("\r\n\r\n");
    const length = /^content-length: (\d+)\r$/im.exec(this.heard)?.[1];
    return at >= 0 && length !== undefined && this.heard.length >= at + 4 + Number(length);
  }

  #farewell(): void {
    this.farewells++;
    this.end();
  }

  end(): void {
    this.#wire?.end();
    this.#wire = null;
  }
}

/** One that opens another connection when GOAWAY has come. */
class Http2Client implements Client {
  farewells = 0;
  readonly #open: () => Promise<ClientHttp2Session>;
  #session: ClientHttp2Session | null = null;

  constructor(open: () => Promise<ClientHttp2Session>) {
    this.#open = open;
  }

  async ask(path: string): Promise<string> {
    const session = (this.#session ??= await this.#connect());
    const answer = Promise.withResolvers<string>();
    const stream = session.request({ ":path": path, ":authority": "a.example" });
    let heard = "";
    stream.on("data", (bytes: Buffer) => (heard += bytes.toString()));
    stream.once("end", () => answer.resolve(heard)).on("error", answer.reject);
    stream.once("close", () => answer.reject(new Error("the stream was closed")));
    return within("an answer over HTTP/2", answer.promise);
  }

  async #connect(): Promise<ClientHttp2Session> {
    const session = await this.#open();
    session.once("goaway", () => {
      this.farewells++;
      if (this.#session === session) this.#session = null;
    });
    return session;
  }

  end(): void {
    this.#session?.destroy();
  }
}

interface Target extends AsyncDisposable {
  readonly target: string;
  letGo(): void;
}

/** Answers with its name, twice; behind `/held`, the second time only when it is let go. */
async function web(name: string): Promise<Target> {
  const held: ServerResponse[] = [];
  const server = createServer(({ url }, response) => {
    response.setHeader("content-length", 2 * name.length);
    response.write(name);
    if (url === "/held") held.push(response);
    else response.end(name);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    target: `127.0.0.1:${port}`,
    letGo: () => {
      for (const response of held) response.end(name);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TLS = { cert_file: certFile, key_file: keyFile };
const KINDS = {
  http: { name: "http" },
  https: { name: "http2", tls: TLS },
  http2: { name: "http2", tls: TLS },
} as const;
type Kind = keyof typeof KINDS;

const planOf = (kind: Kind, target: string) =>
  compiledPlan([{ listen: "127.0.0.1:0", target, ...KINDS[kind] }], { workers: 2 });

interface Place {
  readonly host: string;
  readonly port: number;
}

async function overTls(place: Place, alpn: string): Promise<TLSSocket> {
  const { ca } = authority;
  const socket = connectTls({ ...place, ca, servername: "a.example", ALPNProtocols: [alpn] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("secureConnect", resolve).once("error", reject);
  await within("the handshake", promise);
  return socket;
}

function clientOf(kind: Kind, place: Place): Client {
  switch (kind) {
    case "http":
      return new Http1Client(() => Wire.connect(place));
    case "https":
      return new Http1Client(async () => new Wire(await overTls(place, "http/1.1")));
    default:
      return new Http2Client(async () => {
        const socket = await overTls(place, "h2");
        const session = connectHttp2(`https://${place.host}:${place.port}`, {
          createConnection: () => socket,
        });
        session.on("error", () => {}); // its streams tell of it
        return session;
      });
  }
}

const placeOf = (proxy: Proxy): Place => wireAddress(proxy.listeners()[0]!.bound[0]!) as Place;

for (const kind of ["http", "https", "http2"] as const) {
  test(`${kind}: whoever asks again and again loses nothing over ${RELOADS} reloads`, async () => {
    await using a = await web("a");
    await using b = await web("b");
    await using proxy = await Proxy.start(planOf(kind, a.target));
    const place = placeOf(proxy);
    const failures: string[] = [];
    let answers = 0;
    let goesOn = true;
    const clients = Array.from({ length: CLIENTS }, () => clientOf(kind, place));
    const asking = clients.map(async (client) => {
      while (goesOn) {
        try {
          await client.ask("/");
          answers++;
        } catch (error) {
          failures.push(String(error));
          client.end();
        }
      }
    });
    for (let i = 0; i < RELOADS; i++) {
      const wanted = answers + ANSWERS;
      await until("some answers", () => answers >= wanted || failures.length > 0);
      await proxy.reload(planOf(kind, i % 2 === 0 ? b.target : a.target));
    }
    goesOn = false;
    await Promise.all(asking);
    for (const client of clients) client.end();
    expect(failures).toEqual([]);
    // Each was told so, rather than found out.
    for (const { farewells } of clients) expect(farewells).toBeGreaterThan(0);
  }, 60_000);
}

test("a connection whose answer a reload finds half sent takes another request", async () => {
  await using a = await web("a");
  await using b = await web("b");
  await using proxy = await Proxy.start(planOf("http", a.target));
  const client = new Http1Client(() => Wire.connect(placeOf(proxy) as WireAddress));
  const held = client.ask("/held");
  await until("half of an answer", () => client.heard.endsWith("\r\n\r\na"));
  await proxy.reload(planOf("http", b.target));
  a.letGo();
  expect(await held).toBe("aa");
  expect([await client.ask("/"), client.farewells]).toEqual(["aa", 1]);
  expect([await client.ask("/"), client.farewells]).toEqual(["bb", 1]);
  client.end();
}, 30_000);
