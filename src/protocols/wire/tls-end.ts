// Whether a TLS stream ended as TLS ends (close_notify) or was cut off, seen from its encrypted bytes: the runtime tells both in
// the same way. An alert is the last record then; its length gives it away, encrypted as it is. Pure; fed by tls-wire.ts.
//
//   TLS 1.3        17 03 03 00 13 │ 19 bytes: level, description, type 21, tag of 16
//   TLS 1.2 GCM    15 03 03 00 1a │ 26 bytes: nonce of 8, level, description, tag
//   TLS 1.2 ChaCha 15 03 03 00 12 │ 18 bytes: level, description, tag
//
// In TLS 1.3 a last record of two bytes of data looks the same: a stream that was cut right after one passes for a whole one.

const HEAD_BYTES = 5;
const ALERT = 21;
const APPLICATION_DATA = 23;
/** Lengths of an alert's record in TLS 1.2, by cipher. */
const ALERT_GCM_BYTES = 26;
const ALERT_CHACHA_BYTES = 18;
/** In TLS 1.3, whatever the cipher. */
const HIDDEN_ALERT_BYTES = 19;
const TAIL_BYTES = HEAD_BYTES + ALERT_GCM_BYTES;

export class StreamTail {
  readonly #tail = new Uint8Array(TAIL_BYTES);

  /** @param chunk as it arrived; cut anywhere. */
  take(chunk: Uint8Array): void {
    const tail = this.#tail;
    const { length } = chunk;
    if (length >= TAIL_BYTES) {
      for (let i = 0, at = length - TAIL_BYTES; i < TAIL_BYTES; i++) tail[i] = chunk[at + i]!;
      return;
    }
    tail.copyWithin(0, length);
    tail.set(chunk, TAIL_BYTES - length);
  }

  /** The last record can be an alert. */
  get isAlert(): boolean {
    return (
      this.#endsWith(APPLICATION_DATA, HIDDEN_ALERT_BYTES) ||
      this.#endsWith(ALERT, ALERT_GCM_BYTES) ||
      this.#endsWith(ALERT, ALERT_CHACHA_BYTES)
    );
  }

  #endsWith(type: number, length: number): boolean {
    const at = TAIL_BYTES - HEAD_BYTES - length;
    const tail = this.#tail;
    return (
      tail[at] === type &&
      tail[at + 1] === 3 &&
      tail[at + 2] === 3 &&
      tail[at + 3] === 0 &&
      tail[at + 4] === length
    );
  }
}
