// Error numbers that the network can bring never end a worker; only those that say that we passed something wrong do.

import { expect, test } from "bun:test";

import {
  acceptOutcome,
  assertConnectFailure,
  assertTransferReset,
} from "../../../src/engine/linux/errnos.ts";

/** ICMP, firewalls, routes and security modules bring these (icmp(7), ip(7), accept(2)). */
const FROM_THE_NETWORK = {
  EPERM: 1,
  EACCES: 13,
  EINVAL: 22,
  ENONET: 64,
  EPROTO: 71,
  ENOPROTOOPT: 92,
  EOPNOTSUPP: 95,
  ENETUNREACH: 101,
  ECONNRESET: 104,
  ETIMEDOUT: 110,
  EHOSTUNREACH: 113,
};
const OUR_FAULT = { EBADF: 9, EFAULT: 14, ENOTSOCK: 88 };

test.each(Object.entries(FROM_THE_NETWORK))("%s fails an address or a pair", (_name, errno) => {
  expect(() => assertConnectFailure(errno)).not.toThrow();
  expect(() => assertTransferReset("recv", errno)).not.toThrow();
});

test.each(Object.entries(OUR_FAULT))("%s ends the worker, with its name", (name, errno) => {
  expect(() => assertConnectFailure(errno)).toThrow(name);
  expect(() => assertTransferReset("recv", errno)).toThrow(name);
  expect(() => acceptOutcome(errno)).toThrow(name);
});

test("accepting pauses when nothing can be accepted, and skips a client that is gone", () => {
  expect([24, 23, 12, 105].map(acceptOutcome)).toEqual(["pause", "pause", "pause", "pause"]);
  expect([103, 71, 92, 64, 95, 110, 4].map(acceptOutcome)).toEqual(
    Array.from({ length: 7 }, () => "skip"),
  );
  expect(acceptOutcome(11)).toBe("empty");
});
