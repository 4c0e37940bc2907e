// The tail of a stream of TLS records: whether the last one can be an alert.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { StreamTail } from "../../../src/protocols/wire/tls-end.ts";

function record(type: number, length: number): Uint8Array {
  const bytes = new Uint8Array(5 + length).fill(0x17);
  bytes.set([type, 3, 3, length >>> 8, length & 0xff]);
  return bytes;
}

const DATA = record(23, 300);
/** Of TLS 1.3, TLS 1.2 with GCM and with ChaCha20-Poly1305. */
const ALERTS = [record(23, 19), record(21, 26), record(21, 18)];

function isAlert(stream: Uint8Array, cuts: readonly number[]): boolean {
  const tail = new StreamTail();
  const places = [0, ...cuts.map((cut) => cut % stream.length), stream.length].toSorted(
    (a, b) => a - b,
  );
  places.slice(1).forEach((end, i) => tail.take(stream.subarray(places[i], end)));
  return tail.isAlert;
}

const anyCuts = fc.array(fc.nat(), { maxLength: 40 });

test("a stream that ends with an alert is told from one that does not, wherever it is cut", () => {
  const records = fc.array(fc.constantFrom(DATA, record(23, 40), record(22, 60)), { maxLength: 4 });
  fc.assert(
    fc.property(records, fc.constantFrom(...ALERTS), anyCuts, (before, alert, cuts) => {
      expect(isAlert(Buffer.concat([...before, alert]), cuts)).toBe(true);
      expect(isAlert(Buffer.concat([alert, ...before, DATA]), cuts)).toBe(false);
      // An alert that did not come whole is none.
      expect(isAlert(Buffer.concat([...before, alert]).subarray(0, -1), cuts)).toBe(false);
    }),
  );
});

test("nothing at all is no alert", () => {
  expect(new StreamTail().isAlert).toBe(false);
});
