// A dynamic table of HPACK (RFC 7541 section 2.3.2): entries in columns, their names and values in one arena. The newest entry
// has index 1 here (62 on the wire). An entry's number counts up without end (and around), its place is number & MASK.
//
//   arena   │ gone gone │ name value name value name value │ free ...
//             0          starts[oldest]               top ─┘
//
// Invariant: size = sum of (name + value + 32) over entries <= maximum. Used by the decoder and, with chains, by the encoder.

import { H2 } from "../../../../shared/limits.ts";

/** Of each entry, beyond its name and value (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;
/** As many entries as fit: each takes at least ENTRY_OVERHEAD. */
const PLACES = H2.headerTableBytes / ENTRY_OVERHEAD;
const MASK = PLACES - 1;
const FIRST_BYTES = 512;
const NONE = new Int32Array(0);

export class DynamicTable {
  arena: Uint8Array = new Uint8Array(0);
  /** By place; made with the first entry, since many connections never have one. */
  starts = NONE;
  nameEnds = NONE;
  ends = NONE;
  ids = new Uint8Array(0);
  count = 0;
  /** Of the next entry. */
  next = 1;
  #top = 0;
  #size = 0;
  #maximum: number = H2.headerTableBytes;

  get size(): number {
    return this.#size;
  }

  get maximum(): number {
    return this.#maximum;
  }

  /** @param bytes at most H2.headerTableBytes. Entries that do not fit any more are evicted. */
  setMaximum(bytes: number): void {
    this.#maximum = bytes;
    this.#evictTo(bytes);
  }

  /** @param index 1 to count. @returns its place in the columns. */
  place(index: number): number {
    return (this.next - index) & MASK;
  }

  /**
   * Adds an entry; name and value are copied. One that is larger than the table empties it.
   * @returns whether it is in the table.
   */
  insert(
    id: number,
    from: Uint8Array,
    name: number,
    nameEnd: number,
    value: number,
    valueEnd: number,
  ): boolean {
    const bytes = nameEnd - name + valueEnd - value;
    this.#evictTo(this.#maximum - bytes - ENTRY_OVERHEAD);
    if (bytes + ENTRY_OVERHEAD > this.#maximum) return false;
    const at = this.#reserve(bytes);
    const place = this.next & MASK;
    const { arena } = this;
    let to = at;
    for (let i = name; i < nameEnd; i++) arena[to++] = from[i]!;
    this.starts[place] = at;
    this.nameEnds[place] = to;
    for (let i = value; i < valueEnd; i++) arena[to++] = from[i]!;
    this.ends[place] = to;
    this.ids[place] = id;
    this.next = (this.next + 1) | 0;
    this.count++;
    this.#size += bytes + ENTRY_OVERHEAD;
    return true;
  }

  #evictTo(bytes: number): void {
    while (this.count > 0 && this.#size > bytes) {
      const oldest = (this.next - this.count) & MASK;
      this.#size -= this.ends[oldest]! - this.starts[oldest]! + ENTRY_OVERHEAD;
      this.count--;
    }
    if (this.count === 0) this.#top = 0;
  }

  /** @returns where `bytes` more may be written, behind all entries; these may have moved. */
  #reserve(bytes: number): number {
    if (this.starts.length === 0) this.#makeColumns();
    const at = this.#top;
    if (at + bytes <= this.arena.length) {
      this.#top = at + bytes;
      return at;
    }
    this.#compact(bytes);
    return this.#reserve(bytes);
  }

  #makeColumns(): void {
    this.starts = new Int32Array(PLACES);
    this.nameEnds = new Int32Array(PLACES);
    this.ends = new Int32Array(PLACES);
    this.ids = new Uint8Array(PLACES);
    this.arena = new Uint8Array(FIRST_BYTES);
  }

  /** Moves the entries to the beginning, and makes the arena so large that it is not done again soon. */
  #compact(bytes: number): void {
    const old = this.arena;
    const first = this.count === 0 ? 0 : this.starts[(this.next - this.count) & MASK]!;
    const live = this.#top - first;
    let length = old.length;
    while (length < (live + bytes) * 2 && length < this.#maximum * 2) length *= 2;
    if (length === old.length) old.copyWithin(0, first, this.#top);
    else (this.arena = new Uint8Array(length)).set(old.subarray(first, this.#top));
    for (let index = 1; index <= this.count; index++) {
      const place = this.place(index);
      this.starts[place]! -= first;
      this.nameEnds[place]! -= first;
      this.ends[place]! -= first;
    }
    this.#top = live;
  }
}
