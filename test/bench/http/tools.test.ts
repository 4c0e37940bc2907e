// What is read of the output of wrk and of h2load.
import { describe, expect, test } from "bun:test";

import { parseH2load, percentiles } from "../../../bench/http/h2load.ts";
import { parseWrk } from "../../../bench/http/wrk.ts";

const H2LOAD = `starting benchmark...
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 2.01s, 46190.50 req/s, 7.40MB/s
requests: 92381 total, 92637 started, 92384 done, 92381 succeeded, 1 failed, 2 errored, 4 timeout
status codes: 92381 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 14.85MB (15576243) total, 4.49MB (4711431) headers (space savings 49.00%), 8.81MB (9238100) data
                     min         max         mean         sd        +/- sd
time for request:       85us     21.13ms      4.84ms      2.25ms    75.12%
`;

describe("wrk", () => {
  test("is read by the line that the script prints", () => {
    const output = `Running 2s test @ http://127.0.0.1:1/\n  1 threads and 64 connections
  4000 requests in 2.00s, 1.00MB read\nRequests/sec:   2000.00
bench requests=4000 us=2000123 bytes=1048576 failed=3 p50=1200 p99=5300\n`;
    expect(parseWrk(output)).toEqual({
      requests: 4000,
      elapsedMs: 2000.123,
      bytes: 1048576,
      failed: 3,
      p50Us: 1200,
      p99Us: 5300,
    });
  });

  test("without that line is an error that shows what it said", () => {
    expect(() => parseWrk("unable to connect")).toThrow("unable to connect");
  });
});

describe("h2load", () => {
  test("every kind of failure counts", () => {
    expect(parseH2load(H2LOAD)).toEqual({
      requests: 92381,
      failed: 7,
      bytes: 9238100,
      perSecond: 46190.5,
    });
  });

  test("that did not finish is an error that shows what it said", () => {
    expect(() => parseH2load("starting benchmark...")).toThrow("starting benchmark...");
  });

  test("has the percentiles of its log's last column, with or without a line end at its end", () => {
    const lines = Array.from({ length: 100 }, (_, i) => `1795366404285${i}\t200\t${i + 1}`);
    const { p50Us, p99Us } = percentiles(lines.join("\n"));
    expect(p50Us).toBeCloseTo(50, 0);
    expect(p99Us).toBeCloseTo(99, 0);
    expect(percentiles(`${lines.join("\n")}\n`)).toEqual({ p50Us, p99Us });
  });
});
