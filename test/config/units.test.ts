// Durations, sizes and rates: what is accepted, what is refused, and that formatting inverts parsing.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import {
  formatDuration,
  formatPercent,
  formatSize,
  parseByteRate,
  parseDuration,
  parseEventRate,
  parsePercent,
  parseSize,
} from "../../src/config/units.ts";
import { ProxyError } from "../../src/shared/errors.ts";

const wholeNumber = fc.nat({ max: 2 ** 47 });

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isShare = (value: unknown): boolean => (value as number) >= 0 && (value as number) <= 1;

function throwsOnlyProxyErrors(parse: (text: string) => unknown, fits = isCount): void {
  const near = fc.stringMatching(/^[-+0-9.a-zA-Z%/ ]{0,12}$/);
  fc.assert(
    fc.property(fc.oneof(near, fc.string()), (text) => {
      try {
        expect(parse(text)).toSatisfy(fits);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
        expect((error as ProxyError).code).toBe("ERR_CONFIG");
        expect((error as ProxyError).cure).toBeString();
      }
    }),
    { numRuns: 2_000 },
  );
}

describe("durations", () => {
  test.each([
    ["0", 0],
    ["500ms", 500],
    ["5s", 5_000],
    ["1.5s", 1_500],
    ["10m", 600_000],
    ["1h", 3_600_000],
    ["1h30m", 5_400_000],
    ["2m500ms", 120_500],
    ["0.1s", 100],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(["", "5", "s", "5 s", "-5s", "5sec", "1d", "5S", "0.0001s", "1e3s", "5s5", "٣s"])(
    "%p is refused",
    (text) => expect(() => parseDuration(text)).toThrow(ProxyError),
  );

  test("a number without a unit is told to add one", () => {
    expect(() => parseDuration(30)).toThrow("Write 30s for seconds");
  });

  test("formatting and parsing give back every duration", () => {
    fc.assert(fc.property(wholeNumber, (ms) => expect(parseDuration(formatDuration(ms))).toBe(ms)));
  });

  test("no text makes the parser throw anything but a ProxyError with a cure", () => {
    throwsOnlyProxyErrors(parseDuration);
  });
});

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["512", 512],
    ["512B", 512],
    ["64KB", 65_536],
    ["64 KB", 65_536],
    ["64kb", 65_536],
    ["64KiB", 65_536],
    ["64K", 65_536],
    ["1.5MB", 1_572_864],
    ["1GB", 1_073_741_824],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each([
    "",
    "KB",
    "-1",
    "1TBit",
    "64  KB",
    "1MBit",
    "0.3KB",
    "1,5MB",
    "0x10",
    "1e3",
    "9999999999GB",
  ])("%p is refused", (text) => expect(() => parseSize(text)).toThrow(ProxyError));

  test("formatting and parsing give back every size", () => {
    fc.assert(
      fc.property(wholeNumber, (bytes) => expect(parseSize(formatSize(bytes))).toBe(bytes)),
    );
  });

  test("the largest unit that divides a size is shown", () => {
    expect([0, 1536, 65_536, 1_048_576, 1_572_864, 2 ** 30].map(formatSize)).toEqual([
      "0",
      "1536",
      "64KB",
      "1MB",
      "1536KB",
      "1GB",
    ]);
  });

  test("no text makes the parser throw anything but a ProxyError with a cure", () => {
    throwsOnlyProxyErrors(parseSize);
  });
});

describe("percentages", () => {
  test.each([
    ["0", 0],
    ["0%", 0],
    ["20%", 0.2],
    ["12.5%", 0.125],
    ["100 %", 1],
  ])("%s is %d of all", (text, share) => expect(parsePercent(text)).toBe(share));

  test.each(["", "%", "-5%", "101%", "5", 50, "half", "5%%", "1e1%"])("%p is refused", (text) =>
    expect(() => parsePercent(text)).toThrow(ProxyError),
  );

  test("a number without its sign is told to add it", () => {
    expect(() => parsePercent(50)).toThrow('Write "50%"');
  });

  test("formatting and parsing give back every percentage", () => {
    const thousandths = fc.nat(100_000).map((n) => n / 100_000);
    fc.assert(
      fc.property(thousandths, (share) => {
        expect(parsePercent(formatPercent(share))).toBeCloseTo(share, 8);
      }),
    );
  });

  test("no text makes the parser throw anything but a ProxyError with a cure", () => {
    throwsOnlyProxyErrors(parsePercent, isShare);
  });
});

describe("rates", () => {
  test("events and bytes each second", () => {
    expect(parseEventRate("1000/s")).toBe(1_000);
    expect(parseByteRate("100MB/s")).toBe(104_857_600);
    expect(parseByteRate("512/s")).toBe(512);
  });

  test.each(["1000", "1000/m", "/s", "-1/s", "1.5/s", "99999999999999999999/s"])(
    "%p is no rate of events",
    (text) => expect(() => parseEventRate(text)).toThrow(ProxyError),
  );

  test.each(["100MB", "100MB/h", "/s"])("%p is no rate of bytes", (text) =>
    expect(() => parseByteRate(text)).toThrow(ProxyError),
  );

  test("no text makes the parsers throw anything but a ProxyError with a cure", () => {
    throwsOnlyProxyErrors(parseEventRate);
    throwsOnlyProxyErrors(parseByteRate);
  });
});
