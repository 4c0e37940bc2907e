// SSLKEYLOGFILE: where whoever decrypts captures wants the keys of QUIC connections (NSS key log format), as browsers and curl
// write theirs. Whoever reads the file can decrypt the connections, so it is said in the log. Called before gateway
// workers start.

import { closeSync, openSync } from "node:fs";

import { messageOf } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";

const VARIABLE = "SSLKEYLOGFILE";
/** Of a file that is not there yet: its owner's alone. */
const MODE = 0o600;

/** @returns the file, to which lines are appended; null: none is wanted, or it cannot be written. */
export function keyLogPath(
  environment: Record<string, string | undefined>,
  log: Log,
): string | null {
  const path = environment[VARIABLE] ?? "";
  if (path === "") return null;
  try {
    closeSync(openSync(path, "a", MODE));
  } catch (error) {
    log.warn(
      { path, detail: messageOf(error) },
      `${VARIABLE} cannot be written: no keys are logged`,
    );
    return null;
  }
  log.warn(
    { path },
    `keys of QUIC connections are written to ${VARIABLE}: whoever reads it can decrypt them`,
  );
  return path;
}
