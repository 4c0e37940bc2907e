// Tokens that QUIC clients show (config: token_file): one line of text in a file of its own. Without I/O. Called by files.ts.

import { ProxyError } from "../../shared/errors.ts";
import { QUIC_TOKEN } from "../../shared/limits.ts";
import { Secret } from "../../shared/secret.ts";
import type { NamedFile } from "./material.ts";

const CURE = "Make one: openssl rand -hex 32";

/** Without the end of the line that editors put behind it. @throws ProxyError ERR_CERTIFICATE */
export function checkToken({ path, bytes }: NamedFile): Secret {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  const bad = (problem: string): ProxyError =>
    new ProxyError("ERR_CERTIFICATE", `${path}: ${problem}`, { cure: CURE });
  if (end === 0) throw bad("there is no token in the file");
  if (end < QUIC_TOKEN.minBytes) {
    throw bad(`the token has ${end} bytes, and at least ${QUIC_TOKEN.minBytes} are needed`);
  }
  if (end > QUIC_TOKEN.maxBytes) {
    throw bad(`the token has ${end} bytes, and ${QUIC_TOKEN.maxBytes} are the most`);
  }
  if (bytes.subarray(0, end).includes(0x0a)) throw bad("the file has several lines");
  return Secret.of(bytes.subarray(0, end));
}
