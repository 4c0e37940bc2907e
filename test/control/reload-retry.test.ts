// When a refused reload is tried again: for what, and after how long.

import { expect, test } from "bun:test";

import { backoffOf, mayPass } from "../../src/control/reload-retry.ts";
import { ProxyError } from "../../src/shared/errors.ts";

test("what is outside of the file may pass, what stands in it does not", () => {
  for (const code of ["ERR_LISTEN", "ERR_RESOLVE", "ERR_CERTIFICATE", "ERR_WORKER"] as const) {
    expect(mayPass(new ProxyError(code, "?"))).toBe(true);
  }
  for (const code of ["ERR_CONFIG", "ERR_NOT_AVAILABLE", "ERR_USAGE", "ERR_STATE"] as const) {
    expect(mayPass(new ProxyError(code, "?"))).toBe(false);
  }
  expect(mayPass(new TypeError("a bug"))).toBe(false);
});

test("it is tried after a second, then ever more slowly, and at least every minute", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 7, 1_000_000].map(backoffOf);
  expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
});
