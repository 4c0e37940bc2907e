// What the kernel writes, read: its texts as they were on real machines.

import { expect, test } from "bun:test";

import { mayBindLowPorts, parseDescriptorLimit, parseSockets } from "../../src/doctor/proc.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

test("sockets that listen are read, of both families, and no other", () => {
  const tcp = `${HEAD}
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 32241 1 ffff 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 41 1 ffff 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 7 1 ffff 100 0 0 10 0
`;
  expect(parseSockets(tcp, "tcp")).toEqual([
    { host: "127.0.0.1", port: 8080, inode: "32241" },
    { host: "0.0.0.0", port: 22, inode: "7" },
  ]);
  const tcp6 = `${HEAD}
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00:00 00:00 00 0 0 8 1
   1: B80D01200000000000000000010000FF:01BB 00000000000000000000000000000000:0000 0A 00:00 00:00 00 0 0 9 1
   2: 0000000000000000FFFF00000100007F:01BB 00000000000000000000000000000000:0000 0A 00:00 00:00 00 0 0 10 1
`;
  expect(parseSockets(tcp6, "tcp").map(({ host }) => host)).toEqual([
    "::",
    "2001:db8::ff00:1",
    "127.0.0.1",
  ]);
  const udp = `${HEAD}
  11: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 55 2 ffff 0
  12: 0100007F:A001 0100007F:0035 01 00000000:00000000 00:00000000 00000000   101        0 56 2 ffff 0
`;
  expect(parseSockets(udp, "udp")).toEqual([{ host: "127.0.0.1", port: 53, inode: "55" }]);
  expect(parseSockets("", "tcp")).toEqual([]);
});

test("a capability is a bit of many", () => {
  expect(mayBindLowPorts("Name:\tproxy\nCapEff:\t0000000000000400\n")).toBe(true);
  expect(mayBindLowPorts("CapEff:\t000001ffffffffff\n")).toBe(true);
  expect(mayBindLowPorts("CapPrm:\t0000000000000400\nCapEff:\t0000000000000000\n")).toBe(false);
});

test("the hard limit of descriptors is read, or that there is none", () => {
  const line = (soft: string, hard: string): string =>
    `Max processes             1 1 processes\nMax open files            ${soft}  ${hard}  files\n`;
  expect(parseDescriptorLimit(line("1024", "524288"))).toBe(524_288);
  expect(parseDescriptorLimit(line("1024", "unlimited"))).toBe(Infinity);
  expect(parseDescriptorLimit("")).toBeNull();
});
