// gtlsclient, the client of ngtcp2: HTTP/3 by nghttp3, over GnuTLS. What it was answered, as it says it, and bodies as files.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { run } from "./daemon.ts";
import { program } from "./programs.ts";

export interface Gtls {
  /** Everything that it said. */
  readonly said: string;
  /** By stream: heads and trailers in order, each field as `name: value`. */
  readonly sections: readonly (readonly string[])[];
  /** Of the last answer whose path ends so; empty if there is none. */
  body(name: string): Uint8Array;
}

/** @param folder for bodies. @param paths asked on one connection. */
export async function gtlsclient(
  port: number,
  folder: string,
  paths: readonly string[],
  ...flags: readonly string[]
): Promise<Gtls> {
  const urls = paths.map((path) => `https://localhost:${port}${path}`);
  const { stdout, stderr } = await run([
    program("gtlsclient"),
    "--exit-on-all-streams-close",
    "--no-quic-dump",
    "--no-http-dump",
    `--download=${folder}`,
    ...flags,
    "127.0.0.1",
    String(port),
    ...urls,
  ]);
  const said = stdout + stderr;
  return {
    said,
    sections: sectionsIn(said),
    body: (name) => {
      const file = join(folder, name);
      return existsSync(file) ? readFileSync(file) : new Uint8Array(0);
    },
  };
}

function sectionsIn(said: string): string[][] {
  const sections: string[][] = [];
  for (const line of said.split("\n")) {
    if (/^http: stream 0x[0-9a-f]+ (response headers|trailers) started/.test(line)) {
      sections.push([]);
    }
    const field = /^http: stream 0x[0-9a-f]+ \[(.*)\](?:\(sensitive\))?$/.exec(line)?.[1];
    if (field !== undefined) sections.at(-1)?.push(field);
  }
  return sections;
}
