// `bun src/cli.ts` in front of a server, as a user starts it: a process of its own that must end with code 0 on SIGTERM.

import type { EngineName } from "../../src/shared/plan.ts";
import { type ProxyProcess, startProxy } from "../commands/proxy-process.ts";
import { within } from "./until.ts";

export class CliRelay implements AsyncDisposable {
  /** 0 for a unix socket. */
  readonly port: number;
  readonly #process: ProxyProcess;

  private constructor(process: ProxyProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** A listener of protocol udp, which has no engine. */
  static startUdp(target: string, listen = "127.0.0.1:0", ...flags: string[]): Promise<CliRelay> {
    return CliRelay.start("bun", target, listen, "-protocol", "udp", ...flags);
  }

  static async start(
    engine: EngineName,
    target: string,
    listen = "127.0.0.1:0",
    ...flags: string[]
  ): Promise<CliRelay> {
    const log = ["-log-format", "json", "-engine", engine];
    const child = startProxy("-listen", listen, "-target", target, ...log, ...flags);
    const [, address] = await child.line(/"listen":"([^"]+)".*"msg":"listening"/);
    await child.line(/"msg":"started"/);
    return new CliRelay(child, Number(/:(\d+)$/.exec(address!)?.[1] ?? 0));
  }

  /** @throws Error if the proxy does not end in order, or complained on the way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    const { code, stderr } = await within("the proxy stops", this.#process.outcome, 15_000);
    if (code !== 0 || /"level":"(warn|error)"/.test(stderr)) {
      throw new Error(`the proxy ended with code ${code}:\n${stderr}`);
    }
  }
}
