// The admin listener's token (config: admin.token_file): one line of text in a file, kept as a hash, so that comparing tells
// nothing of it, be it by the time that it takes. Called by admin.ts and `proxy check`.

import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

import { errnoOf, ProxyError } from "../../shared/errors.ts";
import type { AdminPlan } from "../../shared/plan.ts";
import { checkToken } from "../certificates/token.ts";

export class Token {
  readonly #hash: Buffer;

  constructor(token: Uint8Array | string) {
    this.#hash = sha256(token);
  }

  /** @throws ProxyError ERR_CONFIG, which names the file, what is wrong and the cure. */
  static read(path: string): Token {
    try {
      return new Token(new Uint8Array(checkToken({ path, bytes: readFileSync(path) }).reveal()));
    } catch (cause) {
      if (cause instanceof ProxyError) {
        throw new ProxyError("ERR_CONFIG", `admin.token_file: ${cause.message}`, { cause });
      }
      const problem = `admin.token_file: ${path} cannot be read (${errnoOf(cause)})`;
      const cure = "Check the path, and that the proxy's user may read it";
      throw new ProxyError("ERR_CONFIG", problem, { cause, cure });
    }
  }

  equals(other: Token): boolean {
    return timingSafeEqual(this.#hash, other.#hash);
  }

  /** @param authorization the field's value, `Bearer …` (RFC 6750 section 2.1). */
  isShownIn(authorization: string | undefined): boolean {
    const [, shown] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
    return shown !== undefined && timingSafeEqual(sha256(shown), this.#hash);
  }
}

/** null: the plan has none. @throws ProxyError ERR_CONFIG */
export function readToken({ tokenFile }: AdminPlan): Token | null {
  return tokenFile === null ? null : Token.read(tokenFile);
}

function sha256(bytes: Uint8Array | string): Buffer {
  return createHash("sha256").update(bytes).digest();
}
