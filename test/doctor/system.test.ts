// Every finding about the machine: when it is told, and with which cure.

import { describe, expect, test } from "bun:test";

import {
  checkClock,
  checkDescriptors,
  checkEngine,
  checkIPv6,
  checkKernel,
  checkMemory,
  checkService,
} from "../../src/doctor/kernel.ts";
import { checkPorts, checkPrivileges, openingsOf } from "../../src/doctor/ports.ts";
import { planOf } from "../explain/plans.ts";
import { bound, faults, machine, NOW_MS, withSysctl } from "./machines.ts";

const PLAN = planOf(`
admin: { listen: "127.0.0.1:9090" }
protocols:
  - { name: tcp, listen: ":80", target: "127.0.0.1:1" }
  - { name: tcp, listen: "127.0.0.1:5432", target: "127.0.0.1:1", limits: { max_connections: 100000 } }
  - { name: udp, listen: "0.0.0.0:53", target: "127.0.0.1:1" }
  - { name: http3, listen: "[::1]:8443", target: "127.0.0.1:1", tls: { cert_file: /c, key_file: /k } }
  - { name: tcp, listen: "unix:/run/x.sock", target: "127.0.0.1:1" }
  - { name: tcp, listen: ":0", target: "127.0.0.1:1" }
`);
const { listeners } = PLAN;
const OPENINGS = openingsOf(PLAN);
const TCP = planOf('protocols: [{ name: tcp, listen: ":8080", target: "127.0.0.1:1" }]').listeners;

test("nothing is wrong with a machine on which all is well", () => {
  const well = machine();
  const all = [
    ...checkPorts(OPENINGS, well),
    ...checkPrivileges(OPENINGS, well),
    ...checkDescriptors(listeners, well),
    ...checkEngine(well),
    ...checkKernel(listeners, well),
    ...checkMemory(PLAN, well),
    ...checkClock(well),
    ...checkIPv6(listeners, well),
    ...checkService(well),
  ];
  expect(faults(all)).toEqual([]);
  expect(new Set(all.map(({ check }) => check)).size).toBe(9);
});

describe("ports", () => {
  const taken = (...sockets: ReturnType<typeof bound>[]): string[] =>
    faults(checkPorts(OPENINGS, machine({ sockets }))).map((text) => text.split(".")[0]!);

  test("that somebody else has are named with who has them", () => {
    expect(faults(checkPorts(OPENINGS, machine({ sockets: [bound("tcp", "::", 80)] })))).toEqual([
      "problem ports: tcp :80: taken by nginx (pid 7), which has [::]:80 over TCP. End it, or use another port",
    ]);
    const hidden = machine({ sockets: [bound("tcp", "127.0.0.1", 80, null)] });
    expect(faults(checkPorts(OPENINGS, hidden))[0]).toEndWith(
      "over TCP. Find it as root: ss -lnp 'sport = :80'. End it, or use another port",
    );
  });

  test("are taken by whatever the system would not bind beside them, and by nothing else", () => {
    expect(taken(bound("tcp", "10.0.0.1", 80))).toHaveLength(1);
    expect(taken(bound("tcp", "0.0.0.0", 5432))).toHaveLength(1);
    expect(taken(bound("tcp", "::", 5432))).toHaveLength(1);
    expect(taken(bound("udp", "::", 53))).toHaveLength(1);
    expect(taken(bound("tcp", "::1", 8443))).toHaveLength(1);
    expect(taken(bound("udp", "::1", 8443))).toHaveLength(1);
    expect(taken(bound("tcp", "127.0.0.1", 9090))[0]).toStartWith("problem ports: admin 127");
    expect(
      taken(
        bound("udp", "::", 80),
        bound("tcp", "127.0.0.2", 5432),
        bound("tcp", "::1", 5432),
        bound("tcp", "0.0.0.0", 53),
        bound("udp", "::1", 53),
        bound("tcp", "0.0.0.0", 8443),
        bound("tcp", "::", 0),
      ),
    ).toEqual([]);
  });

  test("of a proxy that runs are no problem, unless there are two", () => {
    const one = machine({ sockets: [bound("tcp", "::", 80, 7, true)] });
    const [first] = checkPorts(OPENINGS, one);
    expect(first).toMatchObject({
      result: "ok",
      finding: "tcp :80: served by a proxy that runs, pid 7",
    });
    expect(taken(bound("tcp", "::", 80, 7, true), bound("tcp", "::", 80, 8, true))).toEqual([
      "warning ports: tcp :80: 2 processes of this program have it (pids 7, 8)",
    ]);
  });

  test("are not judged where the system does not tell who has them", () => {
    expect(checkPorts(OPENINGS, machine({ sockets: null }))).toEqual([]);
  });

  test("below the first that everybody may bind need a privilege", () => {
    const user = machine({ mayBindLow: false });
    expect(faults(checkPrivileges(OPENINGS, user))).toEqual([
      "problem privileges: this user may not listen on ports below 1024: tcp :80, udp 0.0.0.0:53. " +
        "Give the service AmbientCapabilities=CAP_NET_BIND_SERVICE, or the executable the capability: " +
        "setcap cap_net_bind_service=+ep FILE",
    ]);
    expect(checkPrivileges(OPENINGS, machine({ mayBindLow: false, unprivilegedPort: 53 }))).toEqual(
      [],
    );
  });
});

test.each([
  [
    "net.core.somaxconn",
    "128",
    "net.core.somaxconn is 128: connections of a burst",
    "sysctl -w net.core.somaxconn=4096",
  ],
  [
    "net.ipv4.tcp_max_syn_backlog",
    "128",
    "net.ipv4.tcp_max_syn_backlog is 128: handshakes",
    "sysctl -w net.ipv4.tcp_max_syn_backlog=1024",
  ],
  [
    "net.core.rmem_max",
    "212992",
    "net.core.rmem_max is 212992: the sockets of UDP",
    "sysctl -w net.core.rmem_max=4194304",
  ],
  [
    "net.ipv4.ip_local_port_range",
    "50000 50999",
    "is 50000 to 50999: only 1000 connections",
    "sysctl -w net.ipv4.ip_local_port_range",
  ],
  [
    "net.ipv4.tcp_tw_reuse",
    "0",
    "net.ipv4.tcp_tw_reuse is 0: a port",
    "sysctl -w net.ipv4.tcp_tw_reuse=1",
  ],
  [
    "net.netfilter.nf_conntrack_count",
    "900",
    "nf_conntrack has 900 of 1000 entries",
    "sysctl -w net.netfilter.nf_conntrack_max=4000",
  ],
])("%s of %s is warned of", (name, value, finding, cure) => {
  const found = checkKernel(listeners, withSysctl(name, value)).filter(
    ({ result }) => result !== "ok",
  );
  expect(found).toHaveLength(1);
  expect(found[0]!.result).toBe("warning");
  expect(found[0]!.finding).toContain(finding);
  expect(found[0]!.cure).toContain(cure);
  expect(faults(checkKernel(listeners, withSysctl(name, undefined)))).toEqual([]);
});

test("receive buffers of UDP matter only to who has a listener over it", () => {
  expect(faults(checkKernel(TCP, withSysctl("net.core.rmem_max", "1")))).toEqual([]);
});

test("an engine that is not the fastest is told with its reason, and pipes that are few", () => {
  const slow = machine({ engine: { name: "epoll", reason: "uring: forbidden" } });
  expect(faults(checkEngine(slow))[0]).toStartWith(
    "warning engine: epoll runs, and nothing faster: uring: forbidden. Nothing is wrong with it.",
  );
  const none = machine({ engine: { name: null, reason: "no memory" } });
  expect(faults(checkEngine(none))).toEqual([
    "problem engine: no engine runs here: no memory. See the reason",
  ]);
  expect(faults(checkEngine(withSysctl("fs.pipe-user-pages-soft", "1600")))).toEqual([
    "warning engine: fs.pipe-user-pages-soft is 1600: 100 bulk transfers at once have pipes of full size. " +
      "sysctl -w fs.pipe-user-pages-soft=16384, or 0 for no limit",
  ]);
  expect(faults(checkEngine(withSysctl("fs.pipe-user-pages-soft", "0")))).toEqual([]);
});

test("descriptors that are too few for max_connections, or for anybody, are told", () => {
  expect(faults(checkDescriptors(listeners, machine({ descriptors: 20_000 })))[0]).toContain(
    "needs 210064 descriptors, and the limit is 20000. Raise it: ulimit -Hn 210064",
  );
  expect(faults(checkDescriptors([], machine({ descriptors: 1_024 })))).toEqual([
    "warning descriptors: the limit is 1024, enough for 480 connections. " +
      "Raise it: ulimit -Hn 16384, or LimitNOFILE=16384 of the service",
  ]);
  expect(checkDescriptors([], machine({ descriptors: Infinity }))[0]!.finding).toBe(
    "there is no limit",
  );
  expect(checkDescriptors([], machine({ descriptors: null }))).toEqual([]);
});

test("ceilings of overload that come before what the plan allows, or never, are told", () => {
  const fitting = machine({ descriptors: 215_000 });
  expect(faults(checkDescriptors(listeners, fitting))).toEqual([]);
  expect(faults(checkDescriptors(listeners, fitting, 0.95))).toEqual([
    "warning descriptors: max_connections of all listeners needs 210000 descriptors, and from 204250 on, of 215000, " +
      "new clients are turned away (overload.descriptors). " +
      "Raise the limit: LimitNOFILE=221120 of the service, or write a higher percentage",
  ]);
  const small = machine({ memory: { totalBytes: 2 ** 34, limitBytes: 2 ** 30 } });
  const overload = { ...PLAN.overload, memory: { bytes: 2 ** 31 } };
  expect(faults(checkMemory({ ...PLAN, overload }, small))).toEqual([
    "warning memory: the control group has 1GB, and new work is turned away at 2GB, which will not be reached. " +
      "Write less under overload.memory, or 90%",
  ]);
});

test("memory that full buffers may exceed is told, whoever limits it", () => {
  const small = machine({ memory: { totalBytes: 2 ** 34, limitBytes: 2 ** 26 } });
  expect(faults(checkMemory(PLAN, small))[0]).toStartWith(
    "warning memory: the control group has 64MB, and 1 workers",
  );
  expect(
    checkMemory(null, machine({ memory: { totalBytes: 2 ** 30, limitBytes: null } }))[0],
  ).toMatchObject({
    result: "ok",
    finding: "the machine has 1GB",
  });
});

test("a clock that is wrong, or left alone, is told", () => {
  const clock = { nowMs: NOW_MS, synchronised: true, builtMs: NOW_MS + 2 * 86_400_000 };
  expect(faults(checkClock(machine({ clock })))).toEqual([
    "problem clock: it says 2026-01-15 00:00 UTC, before this program was made: no certificate will be valid. " +
      "Let it be kept right: timedatectl set-ntp true",
  ]);
  const alone = { nowMs: NOW_MS, synchronised: false, builtMs: 0 };
  expect(faults(checkClock(machine({ clock: alone })))[0]).toStartWith("warning clock: it says");
  const unknown = { nowMs: NOW_MS, synchronised: null, builtMs: 0 };
  expect(faults(checkClock(machine({ clock: unknown })))).toEqual([]);
});

test("no IPv6 is a problem for who listens on it alone", () => {
  const without = machine({ hasIPv6: false });
  expect(faults(checkIPv6(listeners, without))[0]).toStartWith(
    "problem IPv6: there is no IPv6, which http3 [::1]:8443 needs. Switch it on",
  );
  expect(faults(checkIPv6(TCP, without))).toEqual([]);
});

test("where systemd runs, a unit is looked for", () => {
  expect(faults(checkService(machine({ units: [] })))[0]).toStartWith("warning service: no unit");
  expect(faults(checkService(machine({ units: [], hasSystemd: false })))).toEqual([]);
});
