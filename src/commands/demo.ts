// `proxy demo`: two backends inside this process, a forwarder before each, what to try, and live counters.

import { createServer } from "node:net";

import { defineCommand } from "citty";

import { checkSource } from "../config/check.ts";
import type { Source } from "../config/problems.ts";
import { compile } from "../control/compile.ts";
import { startDemoBackends } from "../control/demo.ts";
import { LogWriter } from "../control/log-writer.ts";
import { createLog } from "../control/log.ts";
import { Proxy } from "../control/proxy.ts";
import { formatEndpoint, formatSocketAddress } from "../shared/address.ts";
import { formatTargets } from "../shared/plan.ts";
import { CounterBoard } from "./counter-board.ts";
import { thisMachine } from "./machine.ts";
import { STOP, watchStopSignals } from "./stop.ts";
import { print, type Style, styleFor, wantsColours } from "./terminal.ts";
import { NAME_AND_VERSION } from "./version.ts";

const HOST = "127.0.0.1";
/** Taken if they are free, since they are easy to type. */
const PREFERRED_PORTS = { http: 8080, echo: 7000 };
const REFRESH_MS = 250;
/** How long the last drawing may take. */
const FLUSH_MS = 1_000;

interface Forwarder {
  readonly name: "http" | "echo";
  readonly key: string;
  readonly address: string;
  readonly target: string;
}

export const demo = defineCommand({
  meta: {
    name: "demo",
    description: "forward to two built-in servers: everything to look at, nothing to set up",
  },
  args: {},
  run: async (): Promise<number> => {
    await using backends = await startDemoBackends();
    const signals = watchStopSignals([...STOP, "SIGHUP"]); // without its terminal a demo has no use
    try {
      const machine = thisMachine();
      const plan = compile(checkSource(await demoSource(backends)), machine);
      const log = createLog({
        level: "warn",
        format: "pretty",
        colours: wantsColours(process.stderr),
      });
      await using proxy = await Proxy.start(plan, { log });
      const forwarders = describeForwarders(proxy);
      await print(welcome(forwarders, proxy, styleFor(process.stdout)));
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
      if (!(await out.flush(FLUSH_MS))) process.exit(0); // a write that nobody takes would keep it
      return 0;
    } finally {
      signals.release();
    }
  },
});

async function demoSource(
  backends: Awaited<ReturnType<typeof startDemoBackends>>,
): Promise<Source> {
  const protocols = [];
  for (const name of ["http", "echo"] as const) {
    const port = (await isFree(PREFERRED_PORTS[name])) ? PREFERRED_PORTS[name] : 0;
    protocols.push({
      name: "tcp",
      listen: `${HOST}:${port}`,
      target: formatEndpoint(backends[name]),
    });
  }
  return { value: { protocols }, place: () => ({ text: "demo", order: 0 }) };
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

function describeForwarders(proxy: Proxy): Forwarder[] {
  return proxy.listeners().map(({ key, bound }, i) => ({
    name: i === 0 ? "http" : "echo",
    key,
    address: bound.map(formatSocketAddress).join(", "),
    target: formatTargets(proxy.plan.listeners[i]!),
  }));
}

function welcome(forwarders: readonly Forwarder[], proxy: Proxy, style: Style): string {
  const [http, echo] = forwarders as [Forwarder, Forwarder];
  const [echoHost, echoPort] = echo.address.split(":");
  const lines = forwarders.map(
    ({ name, address, target }) => `  ${style.bold(name)}  ${style.green(address)}  ->  ${target}`,
  );
  return `${style.bold(NAME_AND_VERSION)} forwards with the ${proxy.engine} engine on ${threads(proxy.plan.workers)}:

${lines.join("\n")}

Try, in another terminal:
  ${style.cyan(`curl http://${http.address}/headers`)}                      ${style.dim("# what the server sees")}
  ${style.cyan(`curl -o /dev/null "http://${http.address}/bytes?n=1GB"`)}   ${style.dim("# how fast it goes")}
  ${style.cyan(`nc ${echoHost} ${echoPort}`)}                                       ${style.dim("# what you type comes back")}
or open ${style.cyan(`http://${http.address}`)} in a browser. Ctrl-C ends.
`;
}

function threads(count: number): string {
  return count === 1 ? "1 thread" : `${count} threads`;
}
