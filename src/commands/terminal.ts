// Output of commands: results to the standard output, colours only where a terminal takes them. Called by the commands.

import { write } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { ProxyError } from "../shared/errors.ts";

type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly green: Paint;
  readonly cyan: Paint;
  readonly red: Paint;
  readonly yellow: Paint;
}

interface MaybeTerminal {
  readonly isTTY?: boolean;
}

/** Whether colours are welcome: https://no-color.org, and terminals that say they have none. */
export function wantsColours(stream: MaybeTerminal): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && !NO_COLOR && TERM !== "dumb";
}

export function styleFor(stream: MaybeTerminal): Style {
  const paint = (on: number, off: number): Paint =>
    wantsColours(stream) ? (text) => `\u001B[${on}m${text}\u001B[${off}m` : (text) => text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    green: paint(32, 39),
    cyan: paint(36, 39),
    red: paint(31, 39),
    yellow: paint(33, 39),
  };
}

/** How long a full pipe that someone made non-blocking is left before the next try. */
const AGAIN_MS = 20;

/**
 * Writes a line to the standard output, or another descriptor, to its end. A reader that has had enough, as `head` has,
 * is no failure.
 * @throws ProxyError ERR_SYSTEM if it cannot be written, on a full disk for example.
 */
export async function print(text: string, fd = 1): Promise<void> {
  await writeAll(`${text}\n`, fd);
}

/** @returns false if whoever read it has gone. @throws ProxyError as `print`. */
export async function writeAll(text: string, fd = 1): Promise<boolean> {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    const { error, written } = await writeSome(fd, rest);
    rest = rest.subarray(written);
    if (error?.code === "EPIPE") return false;
    if (error?.code === "EAGAIN") await sleep(AGAIN_MS);
    else if (error) {
      const { message } = error;
      throw new ProxyError("ERR_SYSTEM", `the output cannot be written: ${message}`, {
        cause: error,
      });
    }
  }
  return true;
}

function writeSome(
  fd: number,
  bytes: Buffer,
): Promise<{ error: NodeJS.ErrnoException | null; written: number }> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof writeSome>>>();
  write(fd, bytes, 0, bytes.length, null, (error, written = 0) =>
    resolve({ error, written: error ? 0 : written }),
  );
  return promise;
}
