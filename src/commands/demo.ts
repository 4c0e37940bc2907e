// `proxy demo`: two backends inside this process, forwarders before them, what to try, and live counters.

import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

import { defineCommand } from "citty";

import { checkSource } from "../config/check.ts";
import type { Source } from "../config/problems.ts";
import { Admin } from "../control/admin/admin.ts";
import { compile } from "../control/compile.ts";
import { type DemoCertificate, makeDemoCertificate } from "../control/demo-certificate.ts";
import { startDemoTraffic } from "../control/demo-traffic.ts";
import { type DemoBackends, startDemoBackends } from "../control/demo.ts";
import { LogWriter } from "../control/log-writer.ts";
import { createLog, type ProcessLog } from "../control/log.ts";
import { Proxy } from "../control/proxy.ts";
import { formatEndpoint, formatSocketAddress } from "../shared/address.ts";
import { formatTargets, type Plan } from "../shared/plan.ts";
import { CounterBoard } from "./counter-board.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { formatPlan } from "./plan-text.ts";
import { STOP, watchStopSignals } from "./stop.ts";
import { print, type Style, styleFor, wantsColours } from "./terminal.ts";
import { NAME_AND_VERSION } from "./version.ts";

const HOST = "127.0.0.1";
/** Taken if they are free, since they are easy to type. */
const PREFERRED_PORTS = { http: 8080, https: 8443, echo: 7000, admin: 9090 };
const REFRESH_MS = 250;
/** How long the last drawing may take. */
const FLUSH_MS = 1_000;

const FORWARDERS = ["http", "https", "echo"] as const;
type ForwarderName = (typeof FORWARDERS)[number];

interface Forwarder {
  readonly name: ForwarderName;
  readonly key: string;
  readonly address: string;
  readonly target: string;
}

export const DEMO_EXAMPLES: readonly Example[] = [
  ["proxy demo", "nothing is written but into a temporary folder"],
  ["proxy demo -traffic", "with clients of its own, to look at the dashboard"],
  ["proxy demo -storage ./demo", "the authority of its certificate stays, and can be trusted"],
];

export const demo = defineCommand({
  meta: {
    name: "demo",
    description: "forward to two built-in servers: everything to look at, nothing to set up",
  },
  args: {
    storage: {
      type: "string",
      valueHint: "FOLDER",
      description: "keep the authority that signs the certificate there (default: a temporary one)",
    },
    traffic: {
      type: "boolean",
      description: "clients of its own: some 50 requests a second, to look at the dashboard",
      default: false,
    },
  },
  run: async ({ args: { storage = null, traffic } }): Promise<number> => {
    if (!(await show(storage, traffic))) process.exit(0); // a write that nobody takes would keep it
    return 0;
  },
});

/** @returns false if the last drawing was not taken. */
async function show(storage: string | null, traffic: boolean): Promise<boolean> {
  await using certificate = await makeDemoCertificate(storage);
  await using backends = await startDemoBackends();
  const signals = watchStopSignals([...STOP, "SIGHUP"]); // without its terminal a demo has no use
  try {
    const plan = compile(checkSource(await demoSource(backends, certificate)), thisMachine());
    const log = createLog({
      level: "warn",
      format: "pretty",
      colours: wantsColours(process.stderr),
    });
    using admin = await openAdmin(plan, log);
    await using proxy = await Proxy.start(plan, { log });
    admin.serve(proxy);
    const forwarders = describeForwarders(proxy);
    const trusted = { rootFile: certificate.rootFile, storage };
    const dashboard = `http://${admin.address}/`;
    await print(welcome(forwarders, { proxy, trusted, dashboard }, styleFor(process.stdout)));
    using _clients = traffic ? startDemoTraffic(addressesOf(forwarders, certificate)) : null;
    const out = new LogWriter(1, () => ""); // the next drawing replaces one that was lost
    const board = new CounterBoard(
      { isTTY: process.stdout.isTTY === true, write: (text) => out.write(text) },
      forwarders,
    );
    const timer = setInterval(() => board.show(proxy.stats().listeners), REFRESH_MS);
    await signals.first;
    clearInterval(timer);
    board.show(proxy.stats().listeners);
    board.close();
    return await out.flush(FLUSH_MS);
  } finally {
    signals.release();
  }
}

async function openAdmin(plan: Plan, log: ProcessLog): Promise<Admin & Disposable> {
  const admin = new Admin(log, {
    reload: () => Promise.resolve({ error: "the demo has no configuration to read again" }),
    describe: formatPlan,
    file: null,
    setLevel: (level) => log.setLevel(level),
  });
  await admin.start(plan.admin, false);
  return Object.assign(admin, { [Symbol.dispose]: () => admin.stop() });
}

function addressesOf(forwarders: readonly Forwarder[], { rootFile }: DemoCertificate) {
  const [http, https, echo] = forwarders as [Forwarder, Forwarder, Forwarder];
  const portOf = ({ address }: Forwarder): number => Number(address.split(":")[1]);
  return {
    secure: `https://localhost:${portOf(https)}`,
    root: readFileSync(rootFile, "utf8"),
    plain: `http://${http.address}`,
    echo: { host: HOST, port: portOf(echo) },
  };
}

async function demoSource(backends: DemoBackends, certificate: DemoCertificate): Promise<Source> {
  const tls = { cert_file: certificate.certFile, key_file: certificate.keyFile };
  const [http, echo] = [formatEndpoint(backends.http), formatEndpoint(backends.echo)];
  const protocols = [
    { name: "tcp", listen: await listenFor("http"), target: http },
    { name: "http3", listen: await listenFor("https"), target: http, tls },
    { name: "tcp", listen: await listenFor("echo"), target: echo },
  ];
  const admin = { listen: await listenFor("admin") };
  return { value: { admin, protocols }, place: () => ({ text: "demo", order: 0 }) };
}

async function listenFor(name: keyof typeof PREFERRED_PORTS): Promise<string> {
  const port = PREFERRED_PORTS[name];
  const free = (await isFree(port)) && (name !== "https" || (await isFreeForUdp(port)));
  return `${HOST}:${free ? port : 0}`;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const outcome = Promise.withResolvers<boolean>();
  server.once("error", () => outcome.resolve(false));
  server.listen({ port, host: HOST, exclusive: true }, () =>
    server.close(() => outcome.resolve(true)),
  );
  return outcome.promise;
}

async function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const outcome = Promise.withResolvers<boolean>();
  socket.once("error", () => outcome.resolve(false));
  socket.bind({ port, address: HOST, exclusive: true }, () =>
    socket.close(() => outcome.resolve(true)),
  );
  return outcome.promise;
}

function describeForwarders(proxy: Proxy): Forwarder[] {
  return proxy.listeners().map(({ key, bound }, i) => ({
    name: FORWARDERS[i]!,
    key,
    address: [...new Set(bound.map(formatSocketAddress))].join(", "),
    target: formatTargets(proxy.plan.listeners[i]!),
  }));
}

interface Trusted {
  readonly rootFile: string;
  /** As it was given; null: it is temporary. */
  readonly storage: string | null;
}

interface Shown {
  readonly proxy: Proxy;
  readonly trusted: Trusted;
  /** Its address. */
  readonly dashboard: string;
}

function welcome(
  forwarders: readonly Forwarder[],
  { proxy, trusted, dashboard }: Shown,
  style: Style,
): string {
  const [http, https, echo] = forwarders as [Forwarder, Forwarder, Forwarder];
  const [echoHost, echoPort] = echo.address.split(":");
  const [, securePort] = https.address.split(":");
  const secure = `https://localhost:${securePort}`;
  const lines = forwarders.map(
    ({ name, address, target }) =>
      `  ${style.bold(name.padEnd(5))}  ${style.green(address)}  ->  ${target}`,
  );
  const { engine, plan } = proxy;
  return `${style.bold(NAME_AND_VERSION)} forwards with the ${engine} engine on ${threads(plan.workers)}:

${lines.join("\n")}

Try, in another terminal:
  ${style.cyan(`curl http://${http.address}/headers`)}                      ${style.dim("# what the server sees")}
  ${style.cyan(`curl -o /dev/null "http://${http.address}/bytes?n=1GB"`)}   ${style.dim("# how fast it goes")}
  ${style.cyan(`nc ${echoHost} ${echoPort}`)}                                       ${style.dim("# what you type comes back")}
  ${style.cyan(`curl --cacert ${trusted.rootFile} ${secure}/headers`)}
      ${style.dim("# over TLS, HTTP/1.1 to HTTP/3, with a certificate of an authority of the demo's own")}
or open ${style.cyan(`http://${http.address}`)} in a browser, or ${style.cyan(secure)}
${trustHint(trusted, style)}
All of it, live: ${style.cyan(dashboard)} ${style.dim("# the dashboard; proxy demo -traffic has clients of its own")}
Ctrl-C ends.
`;
}

/** What makes browsers open the https address without a warning. */
function trustHint({ storage }: Trusted, style: Style): string {
  const folder = storage ?? "./demo";
  const command = `proxy trust -storage ${folder}`;
  const first =
    storage === null ? `start ${style.cyan(`proxy demo -storage ${folder}`)}, and ` : "";
  return `(for no warning, ${first}see ${style.cyan(command)}).`;
}

function threads(count: number): string {
  return count === 1 ? "1 thread" : `${count} threads`;
}
