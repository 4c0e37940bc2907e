// What this process signs for its clients with keys that only it has: tokens of Retry packets (RFC 9000 section 8.1.2),
// which prove that a client gets what is sent to its address, and tokens of stateless resets (section 10.3). A process that
// is started anew has other keys: the tokens of the last one mean nothing to it. Called by endpoints.
//
//   Retry token   mark(1) expiry(8) original dcid (…) mac(16)

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

import type { Peer } from "../../live-rows.ts";
import type { HostPort } from "./binding.ts";
import { RESET_TOKEN_BYTES } from "./packets.ts";

const MAC_BYTES = 16;
/** That it is one of ours: the tokens of others begin as they like. */
const MARK = 0x72;
const HEAD_BYTES = 9;

export class Tokens {
  readonly #retryKey = randomBytes(32);
  readonly #resetKey = randomBytes(32);

  /**
   * @param original what the client called us before the Retry. @param cid what it is to call us after it. @param expiryMs of
   * the clock that `openRetry` is asked with.
   */
  sealRetry(peer: Peer, original: Uint8Array, cid: Uint8Array, expiryMs: number): Uint8Array {
    const token = new Uint8Array(HEAD_BYTES + original.length + MAC_BYTES);
    token[0] = MARK;
    new DataView(token.buffer).setFloat64(1, expiryMs);
    token.set(original, HEAD_BYTES);
    const signed = token.subarray(0, HEAD_BYTES + original.length);
    token.set(this.#mac(signed, peer, cid), signed.length);
    return token;
  }

  /** @returns the original id; null: the token is not ours, of another address or connection, or too old. */
  openRetry(token: Uint8Array, peer: Peer, cid: Uint8Array, nowMs: number): Uint8Array | null {
    if (token.length < HEAD_BYTES + MAC_BYTES || token[0] !== MARK) return null;
    const signed = token.subarray(0, token.length - MAC_BYTES);
    const mac = this.#mac(signed, peer, cid);
    if (!timingSafeEqual(mac, token.subarray(signed.length))) return null;
    const expiryMs = new DataView(token.buffer, token.byteOffset).getFloat64(1);
    return nowMs < expiryMs ? signed.slice(HEAD_BYTES) : null;
  }

  #mac(signed: Uint8Array, { ip, port }: Peer, cid: Uint8Array): Uint8Array {
    const address = new Uint8Array([...ip, port >> 8, port & 0xff, cid.length]);
    const hmac = createHmac("sha256", this.#retryKey).update(address).update(cid).update(signed);
    return hmac.digest().subarray(0, MAC_BYTES);
  }

  /**
   * Which ends the connection that we call `cid`. @param local where it comes to: whoever saw an id of it must not get its token
   * from another endpoint, which does not know it (RFC 9000 section 21.11).
   */
  reset(cid: Uint8Array, { host, port }: HostPort): Uint8Array {
    const hmac = createHmac("sha256", this.#resetKey).update(`${host} ${port} `).update(cid);
    return hmac.digest().subarray(0, RESET_TOKEN_BYTES);
  }

  /** `reset` as the binding takes it. */
  resetNumber(cid: Uint8Array, local: HostPort): bigint {
    return BigInt(`0x${Buffer.from(this.reset(cid, local)).toString("hex")}`);
  }
}

/** Of this process's thread. */
export const TOKENS = new Tokens();
