// The same question to `explain` and to a proxy that runs: curl asks, the target that answers names itself and what it got, and
// both must agree, for requests of every way in and for many at random.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

import fc from "fast-check";

import { Proxy } from "../../src/control/proxy.ts";
import type { Found } from "../../src/explain/answer.ts";
import type { QuestionOptions } from "../../src/explain/question.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { Authority } from "../support/certificates.ts";
import { run } from "../support/daemon.ts";
import { program } from "../support/programs.ts";
import { ask, planOf } from "./plans.ts";

const authority = new Authority();
const NAMES = ["a.example", "b.example", "*.a.example", "c.test"];
const { certFile, keyFile } = authority.issue(NAMES);
const backends: Server[] = [];
let proxy: Proxy;
/** What runs, with the ports that it got. */
let plan: Plan;
const ports: Record<string, number> = {};

/** What a backend says of itself. */
interface Told {
  readonly target: string;
  readonly method: string;
  readonly path: string;
  readonly fields: readonly (readonly [string, string])[];
}

const tell: RequestListener = (asked, response) => {
  const { rawHeaders, method, url, socket } = asked;
  const fields = rawHeaders.flatMap((name, i) =>
    i % 2 === 0 ? [[name.toLowerCase(), rawHeaders[i + 1]!]] : [],
  );
  const target = `127.0.0.1:${socket.localPort}`;
  response.end(JSON.stringify({ target, method, path: url, fields }));
};

async function backend(secure = false): Promise<number> {
  const identity = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const server = secure ? createTlsServer(identity, tell) : createServer(tell);
  backends.push(server as Server);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return (server.address() as AddressInfo).port;
}

const text = ([one, two, three]: readonly number[], [first, second]: readonly number[]): string => `
tls: { cert_file: "${certFile}", key_file: "${keyFile}" }
protocols:
  - name: http
    listen: "127.0.0.1:0"
    trusted: ["127.0.0.1"]
    routes: &routes
      - { match: { host: a.example, path: "/v1/*", methods: [POST] }, target: "127.0.0.1:${one}" }
      - match: { host: a.example, path: "/v1*" }
        targets: ["127.0.0.1:${one}", "127.0.0.1:${two}", "127.0.0.1:${three}"]
        balance: source_hash
        rewrite: { strip_prefix: /v1, add_prefix: /api }
        headers: { request: { set: { x-env: prod }, add: { x-b: more }, remove: [x-a] } }
      - { match: { host: "*.a.example", headers: { x-a: "1" } }, target: "127.0.0.1:${two}" }
      - { match: { path: /exact }, target: "127.0.0.1:${three}", headers: { request: { set: { host: c.test } } } }
      - { match: { host: b.example }, redirect: { to: "https://new.example{path}", status: 307 } }
      - { match: { host: c.test, headers: { x-b: "*" } }, target: "127.0.0.1:${one}" }
      - match: { host: c.test }
        targets: ["127.0.0.1:${two}", { address: "127.0.0.1:${three}", backup: true }]
  - { name: http2, listen: "127.0.0.1:0", routes: *routes }
  - name: tcp
    listen: "127.0.0.1:0"
    routes:
      - { sni: a.example, alpn: [h2], target: "127.0.0.1:${first}" }
      - { sni: "*.a.example", target: "127.0.0.1:${second}" }
      - { sni: a.example, target: "127.0.0.1:${second}" }
  - name: tls
    listen: "127.0.0.1:0"
    alpn: [http/1.1]
    routes:
      - { sni: b.example, target: "127.0.0.1:${one}" }
      - { sni: "*.a.example", target: "127.0.0.1:${two}" }
  - { name: http, listen: "127.0.0.1:0", deny: ["127.0.0.0/8"], target: "127.0.0.1:${one}" }
`;

beforeAll(async () => {
  const clear = [await backend(), await backend(), await backend()];
  const secure = [await backend(true), await backend(true)];
  const written = planOf(text(clear, secure));
  proxy = await Proxy.start({ ...written, workers: 1 });
  const bound = proxy.listeners().map((listener) => listener.bound[0]!);
  const listeners = written.listeners.map((listener, i) => {
    const at = bound[i]!;
    if (at.kind === "unix") throw new Error("bound to a port");
    return { ...listener, listen: { kind: "tcp" as const, host: "127.0.0.1", port: at.port } };
  });
  plan = { ...written, listeners };
  ["clear", "secure", "names", "streams", "denied"].forEach((name, i) => {
    ports[name] = listeners[i]!.listen.port;
  });
});

afterAll(async () => {
  await proxy.kill();
  for (const server of backends) server.close();
  authority[Symbol.dispose]();
});

interface Asked {
  readonly url: string;
  readonly options: QuestionOptions;
}

interface Answered {
  readonly status: number;
  readonly location: string;
  readonly told: Told | null;
}

/** What curl ends with when a handshake fails, or nothing comes, or a reset, be it before curl knows that it is connected. */
const CUT_OFF = /exit code (7|35|52|55|56)\b/;

/** As curl is answered; null: the connection ends without an answer. */
async function request({ url, options }: Asked): Promise<Answered | null> {
  const { method = "GET", headers = [] } = options;
  const { host, port } = /\/\/(?<host>[^:/]+):(?<port>\d+)/.exec(url)!.groups!;
  const command = [
    program("curl"),
    "-sS",
    "--noproxy",
    "*",
    "--path-as-is",
    "--cacert",
    authority.caFile,
    "--resolve",
    `${host}:${port}:127.0.0.1`,
    "-X",
    method,
    ...headers.flatMap((header) => ["-H", header]),
    "-w",
    "\n%{http_code}\n%header{location}",
    url,
  ];
  const answer = await run(command, { timeoutMs: 30_000 }).catch((error: Error) => {
    if (CUT_OFF.test(error.message)) return null;
    throw error;
  });
  if (answer === null) return null;
  const { stdout } = answer;
  const [body, status, location] = stdout.split(/\n(?=\d{3}\n|[^\n]*$)/);
  const told = body!.startsWith("{") ? (JSON.parse(body!) as Told) : null;
  return { status: Number(status), location: location!, told };
}

/** What codecs and clients put in, of which routes know nothing, and what differs with each connection. */
const OF_CODECS = ["connection", "content-length", "user-agent", "accept", "x-request-id"];

function comparable(fields: Told["fields"]): string[] {
  return fields
    .filter(([name]) => !OF_CODECS.includes(name))
    .map(([name, value]) => `${name}: ${value}`)
    .toSorted();
}

async function compare(asked: Asked): Promise<Found> {
  const found = ask(plan, asked.url, asked.options).found!;
  const answered = await request(asked);
  if (found.answer !== null) {
    expect([asked, answered?.status]).toEqual([asked, found.answer.status]);
    expect(answered!.location).toBe(found.answer.location ?? "");
  } else if (found.refused !== null) {
    expect([asked, answered]).toEqual([asked, null]);
  } else {
    expect([asked, answered?.told?.target]).toEqual([asked, found.target!]);
    const told = answered!.told!;
    if (found.request === null) return found;
    expect([told.method, told.path]).toEqual([found.request.method, found.request.path]);
    expect(comparable(told.fields)).toEqual(comparable(found.request.fields));
  }
  return found;
}

const HOSTS = ["a.example", "x.a.example", "b.example", "c.test", "y.x.a.example"];
const PATHS = ["/", "/v1", "/v1/", "/v1/a?b=c", "/v1beta", "/exact", "/exact/..", "/a/../v1/b"];
const ODD = ["/v1%2Fa", "/%76%31/x", "/v1/..;/exact", "/v1/../../a", "/EXACT", "/v1//a"];
const questions = fc.record({
  host: fc.constantFrom(...HOSTS),
  path: fc.constantFrom(...PATHS, ...ODD),
  method: fc.constantFrom("GET", "GET", "POST", "OPTIONS"),
  headers: fc.subarray(["x-a: 1", "x-a: 2", "x-b: c", "x-forwarded-for: 192.0.2.1"]),
});

const EACH_ROUTE = [
  { host: "a.example", path: "/v1/", method: "POST", headers: [] },
  { host: "a.example", path: "/v1", method: "GET", headers: ["x-a: 1"] },
  { host: "x.a.example", path: "/", method: "GET", headers: ["x-a: 1"] },
  { host: "x.a.example", path: "/exact", method: "GET", headers: [] },
  { host: "b.example", path: "/v1?a=b", method: "GET", headers: [] },
  { host: "c.test", path: "/", method: "GET", headers: ["x-b: c"] },
  { host: "c.test", path: "/", method: "GET", headers: [] },
  { host: "a.example", path: "/none", method: "GET", headers: [] },
];

test("requests at random go where explain says, with the fields that it says", async () => {
  const asked = [...EACH_ROUTE, ...fc.sample(questions, { numRuns: 40, seed: 8 })];
  const found = await Promise.all(
    asked.map(async ({ host, path, method, headers }, i) => {
      const secure = i % 2 === 0 && !host.startsWith("y."); // no certificate is for that one
      const [scheme, port] = secure ? ["https", ports.secure!] : ["http", ports.clear!];
      return compare({ url: `${scheme}://${host}:${port}${path}`, options: { method, headers } });
    }),
  );
  const routes = found.flatMap((each) => each.routes.findIndex(({ chosen }) => chosen));
  expect(new Set(routes).size).toBe(8); // all of them, and none
}, 60_000);

test("connections by TLS name go where explain says", async () => {
  const groups: (number | null)[] = [];
  for (const host of ["a.example", "x.a.example", "b.example"]) {
    const names = await compare({ url: `https://${host}:${ports.names}/`, options: {} });
    const streams = await compare({ url: `https://${host}:${ports.streams}/`, options: {} });
    groups.push(names.group, streams.group);
  }
  expect(groups).toEqual([0, null, 1, 1, null, 0]);
});

test("who is denied, or comes to the wrong door, is so in both", async () => {
  const denied = await compare({ url: `http://a.example:${ports.denied}/`, options: {} });
  expect(denied.refused).toContain("is in deny");
  const clear = await compare({ url: `http://a.example:${ports.secure}/`, options: {} });
  expect(clear.refused).toContain("speaks TLS");
  const secure = await compare({ url: `https://a.example:${ports.clear}/`, options: {} });
  expect(secure.refused).toContain("in clear");
});
