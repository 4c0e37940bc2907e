// Secrets show a mask wherever they are printed.

import { expect, test } from "bun:test";
import { format, inspect } from "node:util";

import { Secret } from "../../src/shared/secret.ts";

const TEXT = "-----BEGIN PRIVATE KEY-----";
const secret = Secret.of(Buffer.from(TEXT));

test("a secret is not in anything that is printed, logged or serialised", () => {
  const shown = [
    String(secret),
    `${secret as unknown as string}`,
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: { secret } }, { depth: 9, showHidden: true }),
    format("%s %o %j", secret, secret, secret),
    Bun.inspect({ secret }),
    JSON.stringify({ key: secret.reveal() }),
  ];
  for (const text of shown) {
    expect(text).not.toContain("PRIVATE");
    expect(text).not.toContain("45, 45, 45");
    expect(text).not.toContain("2d 2d 2d");
  }
});

test("a secret gives its bytes to whoever uses it, and knows its like", () => {
  expect(Buffer.from(secret.reveal()).toString()).toBe(TEXT);
  expect(secret.equals(Secret.of(Buffer.from(TEXT)))).toBe(true);
  expect(secret.equals(Secret.of(Buffer.from("other")))).toBe(false);
});
