// Clients and targets of UDP in chaos. A datagram says what is to become of it; an answer is the question, byte for byte,
// with the number that its client gave it. UDP loses what it may lose, so who hears nothing asks again, and has to be
// answered in the end.

import { streamBytes } from "../../../test/support/bytes.ts";
import { Datagrams } from "../../../test/support/udp.ts";
import { within } from "../../../test/support/until.ts";
import type { LaneHost } from "./http-lane.ts";
import type { Scope } from "./journal.ts";

const HEAD_BYTES = 8;
const PAYLOAD_MAX = 1_400;
const QUESTIONS_MAX = 20;
const PATIENCE_MS = 500;
const ATTEMPTS = 8;

const ECHO = 0;
const SILENT = 1;
const TWICE = 2;
const LATER = 3;

/** A target. */
export async function openUdpTarget(): Promise<Datagrams> {
  const target = await Datagrams.open();
  target.onDatagram = ({ data, from }) => {
    const what = data[0]!;
    if (what === SILENT) return;
    const copy = Buffer.from(data);
    if (what === LATER) setTimeout(() => void target.send(copy, from), 20);
    else void target.send(copy, from);
    if (what === TWICE) void target.send(copy, from);
  };
  return target;
}

function question(number: number, what: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + length);
  bytes[0] = what;
  bytes.writeUInt32BE(number, 4);
  bytes.set(streamBytes(number, 0, length), HEAD_BYTES);
  return bytes;
}

export class UdpLane {
  readonly #host: LaneHost;
  readonly #listener: string;
  readonly #port: number;
  constructor(host: LaneHost, listener: string, port: number) {
    this.#host = host;
    this.#listener = listener;
    this.#port = port;
  }

  async session(): Promise<void> {
    const { random } = this.#host;
    await using client = await Datagrams.open();
    const asked = new Set<number>();
    const questions = 1 + Math.trunc(random() ** 2 * QUESTIONS_MAX);
    const vanishes = random() < 0.2;
    for (let i = 0; i < questions; i++) {
      const what = random() < 0.8 ? ECHO : random() < 0.5 ? TWICE : LATER;
      const length = Math.trunc(random() ** 2 * (PAYLOAD_MAX - HEAD_BYTES));
      const number = this.#host.nextId();
      asked.add(number);
      const bytes = question(number, vanishes ? SILENT : what, length);
      if (vanishes) await client.send(bytes, { host: "127.0.0.1", port: this.#port });
      else if (!(await this.#ask(client, bytes, asked))) return;
    }
  }

  async #ask(client: Datagrams, bytes: Buffer, asked: ReadonlySet<number>): Promise<boolean> {
    const { journal } = this.#host;
    const to = { host: "127.0.0.1", port: this.#port };
    const sinceMs = performance.now();
    journal.count("questions udp");
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await client.send(bytes, to);
      if (await this.#isAnswered(client, bytes, asked)) return true;
      journal.count("questions udp, again");
    }
    const port = client.address.port;
    const scopes: Scope[] = [`port ${port}`, `listener ${this.#listener}`, "group udp"];
    journal.failed(`udp to ${this.#listener}: no answer to ${bytes.length} bytes`, scopes, sinceMs);
    return false;
  }

  /** Answers to earlier questions may come late, and twice. */
  async #isAnswered(
    client: Datagrams,
    bytes: Buffer,
    asked: ReadonlySet<number>,
  ): Promise<boolean> {
    const { journal } = this.#host;
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return false;
      let answer;
      try {
        answer = await within("an answer", client.receive(leftMs), PATIENCE_MS * 2);
      } catch {
        return false;
      }
      const { data, from } = answer;
      if (from.port !== this.#port) journal.violate(`udp: an answer from port ${from.port}`);
      if (data.equals(bytes)) return true;
      const number = data.readUInt32BE(4);
      const isOld = data.equals(question(number, data[0]!, data.length - HEAD_BYTES));
      if (!isOld || !asked.has(number)) journal.violate("udp: an answer to nobody's question");
    }
  }
}
