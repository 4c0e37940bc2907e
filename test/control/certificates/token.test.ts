// Files of tokens, as operators write them.

import { expect, test } from "bun:test";

import { checkToken } from "../../../src/control/certificates/token.ts";
import { ProxyError } from "../../../src/shared/errors.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const read = (text: string): string =>
  Buffer.from(checkToken({ path: "token", bytes: Buffer.from(text) }).reveal()).toString();

function messageFor(text: string): string {
  try {
    read(text);
  } catch (error) {
    if (error instanceof ProxyError) return `${error.code} ${error.message}`;
  }
  throw new Error("accepted");
}

test("a token is the line without its end, however that is written", () => {
  for (const end of ["", "\n", "\r\n", "\n\n"]) expect(read(TOKEN + end)).toBe(TOKEN);
});

test("what is no token is refused with the file and the cure", () => {
  const cure = "Make one: openssl rand -hex 32";
  expect(messageFor("\n")).toBe(`ERR_CERTIFICATE token: there is no token in the file. ${cure}`);
  expect(messageFor("secret\n")).toBe(
    `ERR_CERTIFICATE token: the token has 6 bytes, and at least 16 are needed. ${cure}`,
  );
  expect(messageFor("x".repeat(1025))).toBe(
    `ERR_CERTIFICATE token: the token has 1025 bytes, and 1024 are the most. ${cure}`,
  );
  expect(messageFor(`${TOKEN}\n${TOKEN}`)).toBe(
    `ERR_CERTIFICATE token: the file has several lines. ${cure}`,
  );
});
