// The admin listener's own bounds, against clients that mean no good: who is slow, sends too much, asks too much at once, or only
// stays connected.

import { describe, expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";

import { type Answer, type Question, text } from "../../../src/control/admin/answer.ts";
import { AdminServer, type ServerOptions } from "../../../src/control/admin/server.ts";
import { Token } from "../../../src/control/admin/token.ts";
import { parseEndpoint } from "../../../src/shared/address.ts";
import { ADMIN } from "../../../src/shared/limits.ts";
import { inFolder } from "../../support/daemon.ts";
import { until, within } from "../../support/until.ts";
import { Wire } from "../../support/wire.ts";

const HOST = "Host: localhost\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const QUICK = { headMs: 100, requestMs: 200, keepAliveMs: 60_000, answerMs: 500 };

type Times = NonNullable<ServerOptions["times"]>;

class Scene implements AsyncDisposable {
  readonly #server: AdminServer;
  readonly asked: Question[] = [];
  readonly logged: string[] = [];
  readonly #wires: Wire[] = [];

  private constructor(server: AdminServer) {
    this.#server = server;
  }

  static async start({
    answer = () => text(200, "well\n"),
    times = ADMIN,
    token = null,
  }: {
    answer?: (question: Question) => Answer | Promise<Answer>;
    times?: Times;
    token?: string | null;
  } = {}): Promise<Scene> {
    let scene: Scene;
    const note = (_about: object, message: string): void => void scene.logged.push(message);
    const listen = parseEndpoint("127.0.0.1:0", "listen");
    const server = await AdminServer.open({
      listen,
      log: { debug: note, info: note, warn: note, error: note },
      rules: () => ({ listen, token: token === null ? null : new Token(token) }),
      answer: async (question) => {
        scene.asked.push(question);
        return answer(question);
      },
      times,
    });
    return (scene = new Scene(server));
  }

  async connect(): Promise<Wire> {
    const port = Number(this.#server.address.split(":").at(-1));
    const wire = await Wire.connect({ host: "127.0.0.1", port });
    this.#wires.push(wire);
    return wire;
  }

  /** @returns what is answered until the connection ends. */
  async ask(request: string): Promise<string> {
    const wire = await this.connect();
    await wire.write(request);
    return within("the end of the answer", wire.readAll());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const wire of this.#wires) wire.destroy();
  }
}

const ended = (wire: Wire): Promise<unknown> => within("the end", wire.ending);

describe("who only stays connected", () => {
  test("leaves room for others: the one that is idle longest goes", async () => {
    await using scene = await Scene.start();
    const wires: Wire[] = [];
    const ask = async (wire: Wire): Promise<void> => {
      const before = wire.received;
      await wire.write(GET);
      await until("it is answered", () => wire.received > before);
    };
    for (let i = 0; i < ADMIN.idleMax; i++) wires.push(await scene.connect());
    for (const wire of wires) await ask(wire);
    const [first, second] = wires as [Wire, Wire];
    await ask(first);
    await ask(await scene.connect());
    await ended(second);
    await ask(first);
  });

  test("and was not let in does not stay", async () => {
    await using scene = await Scene.start({ token: "0123456789abcdef" });
    expect(await scene.ask(GET)).toContain(" 200 ");
    expect(await scene.ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")).toContain(" 421 ");
    const half = `POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n{`;
    expect(await scene.ask(half)).toContain(" 200 "); // nobody waits for the rest
    expect(scene.asked.map(({ trusted, body }) => [trusted, body])).toEqual([
      [false, ""],
      [false, ""],
    ]);
  });

  test("in great number is turned away, also without a word", async () => {
    await using scene = await Scene.start({
      times: { ...QUICK, headMs: 60_000, requestMs: 60_000 },
    });
    const wires: Wire[] = [];
    for (let i = 0; i < ADMIN.connectionsMax + 8; i++) wires.push(await scene.connect());
    let gone = 0;
    for (const wire of wires) void wire.ending.then(() => gone++);
    await until("those that do not fit are gone", () => gone === 8);
  });

  test("in great number is turned away, and those who are being answered are", async () => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    await using scene = await Scene.start({ answer: () => promise });
    const busy: Wire[] = [];
    for (let i = 0; i < ADMIN.connectionsMax; i++) {
      const wire = await scene.connect();
      await wire.write(GET);
      busy.push(wire);
    }
    await until("all have asked", () => scene.asked.length === ADMIN.connectionsMax);
    const late = await scene.connect();
    await late.write(GET);
    await ended(late);
    expect(late.received).toBe(0);
    resolve(text(200, "well\n"));
    await until("they are answered", () => busy.every(({ received }) => received > 0));
  });
});

describe("who is slow", () => {
  test.each([
    ["without a word", ""],
    ["in the midst of its head", `GET / HTTP/1.1\r\n${HOST}X: `],
    ["in the midst of its body", `POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n{`],
    [
      "in the midst of a chunk",
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\n{`,
    ],
    ["with the second head", `${GET}GET / HT`],
  ])("is let go: %s", async (_how, sent) => {
    await using scene = await Scene.start({ times: QUICK });
    const wire = await scene.connect();
    if (sent !== "") await wire.write(sent);
    await ended(wire);
    expect(scene.logged).toEqual([]);
  });

  test("to read its answer is let go, too, and who waits for one that never comes", async () => {
    const never = new Promise<Answer>(() => {});
    const long = text(200, "x".repeat(32 * 1024 * 1024));
    const answer = ({ path }: Question) => (path === "/long" ? long : never);
    await using scene = await Scene.start({ answer, times: QUICK });
    const reader = await scene.connect();
    reader.socket.pause();
    await reader.write(`GET /long HTTP/1.1\r\n${HOST}\r\n`);
    await until("it has asked", () => scene.asked.length === 1);
    const other = await scene.connect();
    await other.write(GET);
    await ended(other);
    reader.socket.resume();
    await ended(reader);
    expect(reader.received).toBeLessThan(32 * 1024 * 1024);
  });
});

describe("who sends too much", () => {
  const post = (length: number): string =>
    `POST / HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: ${length}\r\n\r\n${"x".repeat(length)}`;

  test("a body is taken whole or not at all", async () => {
    await using scene = await Scene.start();
    expect(await scene.ask(post(ADMIN.bodyMaxBytes))).toContain(" 200 ");
    expect(scene.asked.map(({ body }) => body.length)).toEqual([ADMIN.bodyMaxBytes]);
    expect(await scene.ask(post(ADMIN.bodyMaxBytes + 1))).toContain(" 413 ");
    const chunk = `${ADMIN.bodyMaxBytes.toString(16)}\r\n${"x".repeat(ADMIN.bodyMaxBytes)}\r\n`;
    const chunked = `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`;
    expect(await scene.ask(chunked)).toContain(" 413 ");
    expect(scene.asked).toHaveLength(1);
  });

  test.each([
    ["a path", `GET /${"x".repeat(ADMIN.headMaxBytes)} HTTP/1.1\r\n${HOST}\r\n`],
    ["a field", `GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(ADMIN.headMaxBytes)}\r\n\r\n`],
    ["many fields", `GET / HTTP/1.1\r\n${HOST}${"x: y\r\n".repeat(ADMIN.headMaxBytes / 4)}\r\n`],
    ["two lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    [
      "two framings",
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
  ])("%s is not even asked about", async (_what, request) => {
    await using scene = await Scene.start();
    expect(await scene.ask(request)).not.toContain(" 200 ");
    expect(scene.asked).toEqual([]);
  });

  test("or leaves in the midst of it is nothing to write down", async () => {
    await using scene = await Scene.start();
    const wire = await scene.connect();
    await wire.write(
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`,
    );
    await until("it may go on", () => wire.received > 0);
    wire.destroy();
    expect(await scene.ask(post(1))).toContain(" 200 ");
    expect(scene.logged).toEqual([]);
  });
});

test("who asks much at once, without waiting for answers, is let go", async () => {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  await using scene = await Scene.start({ answer: () => promise });
  const few = await scene.connect();
  await few.write(GET.repeat(2));
  await until("both are asked", () => scene.asked.length === 2);
  const many = await scene.connect();
  await many.write(GET.repeat(1_000));
  await ended(many);
  expect(scene.asked.length).toBeLessThanOrEqual(2 + ADMIN.pipelinedMax);
  resolve(text(200, "well\n"));
  await until("the few are answered", () => few.received > 0);
});

test("a host in the request's line is none of ours, and HTTP/1.0 is answered", async () => {
  await using scene = await Scene.start();
  const end = "Connection: close\r\n\r\n";
  expect(
    await scene.ask(`GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n${end}`),
  ).toContain(" 421 ");
  expect(await scene.ask(`GET http://evil.example/ HTTP/1.1\r\n${HOST}${end}`)).toContain(" 200 ");
  expect(scene.asked.map(({ path }) => path)).toEqual(["http://evil.example/"]); // where nothing is
  expect(await scene.ask(`GET / HTTP/1.0\r\n${HOST}\r\n`)).toContain(" 200 ");
  expect(await scene.ask("GET / HTTP/1.0\r\n\r\n")).toContain(" 421 ");
});

test("no page of another site may show an answer as its own", async () => {
  await using scene = await Scene.start();
  const answer = await scene.ask(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  expect(answer).toContain("x-frame-options: DENY\r\n");
  expect(answer).toContain("cross-origin-resource-policy: same-origin\r\n");
  expect(answer).toContain("x-content-type-options: nosniff\r\n");
});

test.skipIf(process.platform === "win32")(
  "a unix socket is never anybody else's, not even before it listens",
  () =>
    inFolder(async (folder) => {
      const path = join(folder, "admin.sock");
      const listen = parseEndpoint(`unix:${path}`, "listen");
      const before = process.umask(0);
      try {
        const opening = AdminServer.open({
          listen,
          log: { debug() {}, info() {}, warn() {}, error() {} },
          rules: () => ({ listen, token: null }),
          answer: async () => text(200, ""),
        });
        const modeOf = () => lstatSync(path, { throwIfNoEntry: false })?.mode;
        for (let i = 0; i < 10 && modeOf() === undefined; i++) await Promise.resolve();
        expect(modeOf()! & 0o777).toBe(0o600);
        (await opening).close();
        expect(process.umask()).toBe(0);
      } finally {
        process.umask(before);
      }
    }),
);
