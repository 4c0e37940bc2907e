// A machine with several addresses answers from the one that was asked: in a network namespace with addresses of its own.

import { expect } from "bun:test";

import { testInNamespace } from "../../support/namespace.ts";

const IPV4 = ["10.77.0.1", "10.77.0.2"];
const IPV6 = ["fd77::1", "fd77::2"];
const ALL = [...IPV4, ...IPV6, "127.0.0.1", "::1"];
const COMMANDS = [
  ...IPV4.map((address) => `ip addr add ${address}/24 dev lo`),
  ...IPV6.map((address) => `ip addr add ${address}/64 dev lo nodad`),
];
const CLIENT = Bun.fileURLToPath(new URL("./namespace-client.ts", import.meta.url));

testInNamespace(
  COMMANDS,
  "on a port of every address, the answer comes from the address that was asked",
  [CLIENT, ...ALL],
  ({ stdout }) => expect(stdout.split(" ")).toEqual(ALL),
);
