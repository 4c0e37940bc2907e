// h2spec, the conformance suite of HTTP/2, against a server that answers each request some milliseconds after its end (some of
// its tests send frames for streams that are not answered yet).

import { run } from "./daemon.ts";
import { program } from "./programs.ts";

export interface H2specOptions {
  readonly host: string;
  readonly port: number;
  /** Certificates are not verified. */
  readonly tls: boolean;
}

/** More than this many are in it. */
const TESTS_MIN = 140;

/** Runs every test, strict ones too. @throws Error that shows what failed, if anything did or was left out. */
export async function runH2spec({ host, port, tls }: H2specOptions): Promise<void> {
  const flags = [
    "--strict",
    "-h",
    host,
    "-p",
    String(port),
    "-o",
    "5",
    ...(tls ? ["-t", "-k"] : []),
  ];
  const { stdout } = await run([program("h2spec"), ...flags], { timeoutMs: 120_000 });
  const [, tests, passed] = /(\d+) tests, (\d+) passed/.exec(stdout) ?? [];
  if (Number(tests) < TESTS_MIN || tests !== passed) throw new Error(stdout);
}
