// Reads numbers and vectors of TLS's presentation language (RFC 8446 section 3) from a part of a byte array.
// Invariant: nothing outside the part is read. A read past its end sets `failed` and gives zeros from then on, so that a
// parser checks once, where it needs to know.

export class Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  failed = false;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Something is left to read. */
  get rest(): boolean {
    return !this.failed && this.at < this.end;
  }

  uint8(): number {
    if (!this.#has(1)) return 0;
    return this.bytes[this.at++]!;
  }

  uint16(): number {
    if (!this.#has(2)) return 0;
    return (this.bytes[this.at++]! << 8) | this.bytes[this.at++]!;
  }

  skip(count: number): void {
    if (this.#has(count)) this.at += count;
  }

  /** The part that a vector with a length of one or two bytes before it fills. Fails outside `min` and `max` bytes. */
  vector(lengthBytes: 1 | 2, min: number, max: number): Cursor {
    const length = lengthBytes === 1 ? this.uint8() : this.uint16();
    if (length < min || length > max) this.failed = true;
    const start = this.at;
    this.skip(length);
    const part = new Cursor(this.bytes, start, this.failed ? start : start + length);
    part.failed = this.failed;
    return part;
  }

  /** All that is left. */
  latin1(): string {
    const { buffer, byteOffset } = this.bytes;
    const text = Buffer.from(buffer, byteOffset).toString("latin1", this.at, this.end);
    this.at = this.end;
    return text;
  }

  #has(count: number): boolean {
    if (count > this.end - this.at) this.failed = true;
    return !this.failed;
  }
}
