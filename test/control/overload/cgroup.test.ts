// What the kernel writes of memory and its limits, read: texts as they were on real machines.

import { expect, test } from "bun:test";

import {
  memoryLimitFiles,
  parseHeldBytes,
  parseMemoryLimit,
  parseSocketBytes,
} from "../../../src/control/overload/cgroup.ts";

test("limits of memory are looked for in every group around the process", () => {
  expect(memoryLimitFiles("0::/system.slice/proxy.service\n")).toEqual([
    "/sys/fs/cgroup/system.slice/proxy.service/memory.max",
    "/sys/fs/cgroup/system.slice/memory.max",
    "/sys/fs/cgroup/memory.max",
  ]);
  expect(memoryLimitFiles("9:cpu,cpuacct:/a\n4:memory:/a\n")).toEqual([
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
  ]);
  expect(parseMemoryLimit("max\n")).toBeNull();
  expect(parseMemoryLimit("")).toBeNull();
  expect(parseMemoryLimit("9223372036854771712\n")).toBeNull();
  expect(parseMemoryLimit("67108864\n")).toBe(67_108_864);
});

test("what a process holds is what is its own, and not what is mapped from files", () => {
  const status = `Name:\tproxy
VmRSS:\t  151032 kB
RssAnon:\t   48120 kB
RssFile:\t  102880 kB
RssShmem:\t      32 kB
VmData:\t  999999 kB
`;
  expect(parseHeldBytes(status)).toBe((48_120 + 32) * 1024);
  expect(parseHeldBytes("Name:\tproxy\nVmRSS:\t 151032 kB\n")).toBeNull();
});

test("what the kernel holds for sockets is told by groups of version 2 alone", () => {
  expect(parseSocketBytes("anon 1000\nfile 2000\nsock 4096\nshmem 1\n")).toBe(4_096);
  expect(parseSocketBytes("cache 0\nrss 0\n")).toBe(0);
});
