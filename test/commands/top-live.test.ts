// `proxy top` in a terminal, in front of a real proxy with real traffic, which it acts upon.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { freePort, inFolder } from "../support/daemon.ts";
import { TerminalProgram } from "../support/terminal.ts";
import { within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { type ProxyProcess, startProxy } from "./proxy-process.ts";

interface Live {
  readonly tcpPort: number;
  readonly httpPort: number;
  readonly echo: WireServer;
  readonly program: TerminalProgram;
  /** Kills the proxy, and starts another one in its place. */
  replace(): Promise<ProxyProcess>;
}

/** Listeners of raw TCP and of HTTP, with `proxy top` in a terminal. */
async function withLive(use: (live: Live) => Promise<void>): Promise<void> {
  await using echo = await WireServer.echo();
  await using backend = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("hello"),
  });
  await inFolder(async (folder) => {
    const [tcpPort, httpPort, adminPort] = [await freePort(), await freePort(), await freePort()];
    const file = join(folder, "proxy.yaml");
    const protocols = [
      { name: "tcp", listen: `127.0.0.1:${tcpPort}`, target: echo.target },
      { name: "http", listen: `127.0.0.1:${httpPort}`, target: `127.0.0.1:${backend.port}` },
    ];
    writeFileSync(file, stringify({ admin: { listen: `127.0.0.1:${adminPort}` }, protocols }));
    const start = async (): Promise<ProxyProcess> => {
      const child = startProxy("-config", file, "-log-format", "json");
      await child.line(/"msg":"started"/);
      return child;
    };
    let child = await start();
    try {
      await using program = new TerminalProgram(["top", "-config", file], { columns: 120 });
      await program.shows(/> tcp 127/);
      const replace = async (): Promise<ProxyProcess> => {
        child.kill("SIGKILL");
        await child.outcome;
        await program.shows(/LOST, TRYING AGAIN\n.*\n(no proxy answers on|the connection to) 127/);
        child = await start();
        return child;
      };
      await use({ tcpPort, httpPort, echo, program, replace });
      program.type("q");
      expect(await program.ended()).toBe(0);
      expect(program.isCooked).toBe(true);
    } finally {
      child.kill("SIGTERM");
      await child.outcome;
    }
  });
}

test(
  "requests and connections are seen with their rates",
  () =>
    withLive(async ({ httpPort, program }) => {
      const ended = new AbortController();
      const asking = (async () => {
        while (!ended.signal.aborted) await (await fetch(`http://127.0.0.1:${httpPort}/`)).text();
      })();
      try {
        // OPEN, CONN/S, both ways, requests, P50 and P99
        await program.shows(
          new RegExp(`http 127.0.0.1:${httpPort} +\\d+( +\\S+){3} +[1-9]\\S*( +[\\d.>]+m?s){2} `),
        );
        await program.shows(/[1-9]\S* req\/s/);
      } finally {
        ended.abort();
        await asking;
      }
    }),
  60_000,
);

test(
  "a connection is seen and closed, and a target drained and enabled",
  () =>
    withLive(async ({ tcpPort, echo, program }) => {
      const wire = await Wire.connect({ host: "127.0.0.1", port: tcpPort });
      await wire.write("abc");
      expect(await wire.readBytes(3)).toBe("abc");
      const client = `127.0.0.1:${wire.socket.localPort}`;
      await program.shows(
        new RegExp(`  ${client} +${echo.target} +tcp 127.0.0.1:${tcpPort} .* 3 B +3 B `),
      );
      program.type("\t\tc");
      await program.shows(new RegExp(`close the connection of ${client} to ${echo.target}\\? y/n`));
      program.type("y");
      await within("the reset", wire.closed);
      await program.shows(new RegExp(`the connection of ${client} is closed`));
      await program.shows(/CLIENT \(0\)/);
      program.type("\u001B[Zd");
      await program.shows(new RegExp(`> ${echo.target} +tcp 127.0.0.1:${tcpPort} +draining `));
      program.type("e");
      await program.shows(new RegExp(`> ${echo.target} +tcp 127.0.0.1:${tcpPort} +up `));
    }),
  60_000,
);

test(
  "a proxy that is gone is waited for, and the one that comes is shown",
  () =>
    withLive(async ({ program, replace }) => {
      const { pid } = await replace();
      await program.shows(new RegExp(`  process ${pid}  `));
      expect(program.screen.join("\n")).not.toContain("LOST");
    }),
  60_000,
);
