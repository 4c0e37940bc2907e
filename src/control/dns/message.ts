// Messages of the DNS (RFC 1035 section 4, EDNS0 of RFC 6891): questions are written, answers are read. Pure. Whatever bytes
// come, reading ends: a pointer of a compressed name leads to what stands before it, and a message has at most 65,535 bytes.
// Records of types that nobody here asks for are left out.

import { formatIPv6 } from "../../shared/ip.ts";
import { encodeName, labelText, NAME_MAX_BYTES, normalName } from "./names.ts";

const TYPE_NUMBERS = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28 } as const;
export type RecordType = keyof typeof TYPE_NUMBERS;
const TYPE_NAMES = new Map(
  Object.entries(TYPE_NUMBERS).map(([name, number]) => [number as number, name as RecordType]),
);
const OPT = 41;
const CLASS_IN = 1;

export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

export interface DnsRecord extends Question {
  readonly ttlSeconds: number;
  /** A, AAAA: the address. NS, CNAME: the name. SOA: the name of the primary server. TXT: its strings as one. */
  readonly data: string;
}

export interface DnsMessage {
  readonly id: number;
  readonly isResponse: boolean;
  /** AA: the server has the zone. */
  readonly authoritative: boolean;
  readonly truncated: boolean;
  /** NOERROR, NXDOMAIN, REFUSED, …; `RCODE 23` if it has no name here. */
  readonly rcode: string;
  /** null: none, several, or of a type that nobody here asks for. */
  readonly question: Question | null;
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
}

/** RFC 1035 section 4.1.1, RFC 6891 section 9. */
const RCODES: Readonly<Record<number, string>> = {
  0: "NOERROR",
  1: "FORMERR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  4: "NOTIMP",
  5: "REFUSED",
  9: "NOTAUTH",
  16: "BADVERS",
};

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
const RD = 0x0100;

export interface QueryOptions {
  readonly id: number;
  /** Whether the server is to ask others (RD). */
  readonly recursive: boolean;
  /** Of an answer over UDP, told by EDNS0; null: no EDNS0, and 512. */
  readonly payloadBytes: number | null;
}

/** @returns null if the name is none. */
export function encodeQuery({ name, type }: Question, options: QueryOptions): Uint8Array | null {
  const encoded = encodeName(name);
  if (encoded === null) return null;
  const { id, recursive, payloadBytes } = options;
  const nameEnd = HEADER_BYTES + encoded.length;
  const bytes = new Uint8Array(nameEnd + 4 + (payloadBytes === null ? 0 : OPT_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, recursive ? RD : 0);
  view.setUint16(4, 1);
  view.setUint16(10, payloadBytes === null ? 0 : 1);
  bytes.set(encoded, HEADER_BYTES);
  view.setUint16(nameEnd, TYPE_NUMBERS[type]);
  view.setUint16(nameEnd + 2, CLASS_IN);
  if (payloadBytes === null) return bytes;
  view.setUint16(nameEnd + 5, OPT); // after the root's name, which is one zero
  view.setUint16(nameEnd + 7, payloadBytes);
  return bytes;
}

/** @returns null if it is no whole message. */
export function decodeMessage(bytes: Uint8Array): DnsMessage | null {
  if (bytes.length < HEADER_BYTES) return null;
  const reader = new Reader(bytes);
  const [id, flags] = [reader.u16(), reader.u16()];
  const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()] as const;
  const question = readQuestions(reader, counts[0]);
  const answers: DnsRecord[] = [];
  const authority: DnsRecord[] = [];
  readRecords(reader, counts[1], answers);
  readRecords(reader, counts[2], authority);
  const extended = readRecords(reader, counts[3], null);
  // A truncated message may end in the middle of what did not fit (RFC 2181 section 9): its records are not used.
  const truncated = (flags & 0x0200) !== 0;
  if (reader.failed && !truncated) return null;
  const rcode = (extended << 4) | (flags & 0x0f);
  return {
    id,
    isResponse: (flags & 0x8000) !== 0,
    authoritative: (flags & 0x0400) !== 0,
    truncated,
    rcode: RCODES[rcode] ?? `RCODE ${rcode}`,
    question,
    answers: truncated ? [] : answers,
    authority: truncated ? [] : authority,
  };
}

function readQuestions(reader: Reader, count: number): Question | null {
  let question: Question | null = null;
  for (let i = 0; i < count && !reader.failed; i++) {
    const name = reader.name();
    const type = TYPE_NAMES.get(reader.u16());
    const isIn = reader.u16() === CLASS_IN;
    question = count === 1 && isIn && type !== undefined ? { name, type } : null;
  }
  return reader.failed ? null : question;
}

/** @returns the upper bits of the rcode, if a record says so. */
function readRecords(reader: Reader, count: number, into: DnsRecord[] | null): number {
  let extended = 0;
  for (let i = 0; i < count && !reader.failed; i++) {
    const name = reader.name();
    const number = reader.u16();
    const isIn = reader.u16() === CLASS_IN;
    const ttl = reader.u32();
    if (number === OPT) extended = ttl >>> 24;
    const type = TYPE_NAMES.get(number);
    const length = reader.u16();
    if (into === null || type === undefined || !isIn) {
      reader.skip(length);
      continue;
    }
    const data = readData(reader, type, length);
    // RFC 2181 section 8: a time with the highest bit set is zero.
    if (!reader.failed) into.push({ name, type, ttlSeconds: ttl > 0x7fffffff ? 0 : ttl, data });
  }
  return extended;
}

function readData(reader: Reader, type: RecordType, length: number): string {
  const end = reader.at + length;
  const data = reader.data(type, length);
  if (type === "SOA") {
    reader.name(); // the mailbox
    reader.skip(20); // serial, refresh, retry, expire, minimum
  }
  if (reader.at !== end) reader.fail();
  return data;
}

const POINTER = 0xc0;
/** More than a name has labels: pointers that lead to pointers end there. */
const JUMPS_MAX = 128;

/** Whatever is read beyond the end is zero, and `failed` says so. */
class Reader {
  at = 0;
  failed = false;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  fail(): void {
    this.failed = true;
    this.at = this.#bytes.length;
  }

  skip(length: number): void {
    if (this.at + length > this.#bytes.length) this.fail();
    else this.at += length;
  }

  u8(): number {
    if (this.at >= this.#bytes.length) this.fail();
    return this.failed ? 0 : this.#bytes[this.at++]!;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  #slice(length: number): Uint8Array {
    const from = this.at;
    this.skip(length);
    return this.failed ? new Uint8Array(length) : this.#bytes.subarray(from, from + length);
  }

  data(type: RecordType, length: number): string {
    switch (type) {
      case "A":
        return this.#slice(4).join(".");
      case "AAAA":
        return formatIPv6(this.#slice(16));
      case "TXT":
        return this.#strings(length);
      case "NS":
      case "CNAME":
      case "SOA":
        return this.name();
      default:
        return type satisfies never;
    }
  }

  /** Character strings (RFC 1035 section 3.3.14), one after the other. */
  #strings(length: number): string {
    const end = this.at + length;
    const parts: Uint8Array[] = [];
    while (this.at < end && !this.failed) parts.push(this.#slice(this.u8()));
    return Buffer.concat(parts).toString();
  }

  /** RFC 1035 section 4.1.4. A pointer leads to before the part of the name that it ends, so the way back has an end. */
  name(): string {
    const labels: string[] = [];
    let after = -1;
    let start = this.at;
    let total = 1;
    let jumps = 0;
    for (;;) {
      const length = this.u8();
      if (this.failed) return "";
      if (length === 0) break;
      if ((length & POINTER) === POINTER) {
        const to = ((length & ~POINTER) << 8) | this.u8();
        if (after < 0) after = this.at;
        if (this.failed || to >= start || ++jumps > JUMPS_MAX) return this.#noName();
        start = to;
        this.at = to;
        continue;
      }
      total += length + 1;
      if ((length & POINTER) !== 0 || total > NAME_MAX_BYTES) return this.#noName();
      labels.push(labelText(this.#slice(length)));
    }
    if (after >= 0) this.at = after;
    return labels.join(".");
  }

  #noName(): string {
    this.fail();
    return "";
  }
}

/** The records of a name and a type. */
export function recordsOf(records: readonly DnsRecord[], { name, type }: Question): DnsRecord[] {
  const wanted = normalName(name);
  return records.filter((record) => record.type === type && record.name === wanted);
}
