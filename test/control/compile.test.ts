// From configuration to plan: what wins over what, and what depends on the machine.

import { describe, expect, test } from "bun:test";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { compile, type Machine } from "../../src/control/compile.ts";
import { type RelayPlan, singleTarget, type UdpPlan } from "../../src/shared/plan.ts";

const LINUX: Machine = { platform: "linux", cpus: 4, folder: "/srv", terminal: false };

function compileText(text: string, machine: Machine = LINUX) {
  return compile(checkSource(parseSource(text, "f")), machine);
}

/** The first listener, which is a tcp one. */
function relayOf(text: string, machine: Machine = LINUX): RelayPlan {
  return compileText(text, machine).listeners[0] as RelayPlan;
}

const entry = (rest = ""): string =>
  `protocols: [{ name: tcp, listen: ":1", target: "a:1" ${rest} }]`;

describe("what comes from the machine", () => {
  test("workers: auto is one for each CPU, and never none", () => {
    expect(compileText(entry(), { ...LINUX, cpus: 7 }).workers).toBe(7);
    expect(compileText(entry(), { ...LINUX, cpus: 0 }).workers).toBe(1);
    expect(compileText(`workers: 3\n${entry()}`, { ...LINUX, cpus: 7 }).workers).toBe(3);
  });

  test("log_format: auto is pretty on a terminal and json otherwise", () => {
    expect(compileText(entry(), { ...LINUX, terminal: true }).log.format).toBe("pretty");
    expect(compileText(entry()).log.format).toBe("json");
    expect(compileText(`log_format: pretty\n${entry()}`).log.format).toBe("pretty");
  });

  test("macOS keeps unsent queues short unless told otherwise", () => {
    const mac: Machine = { ...LINUX, platform: "darwin" };
    expect(relayOf(entry(), mac).socket.notsentLowatBytes).toBe(16_384);
    const asked = relayOf(entry(", socket: { notsent_lowat: 64KB }"), mac);
    expect(asked.socket.notsentLowatBytes).toBe(65_536);
    expect(relayOf(entry()).socket.notsentLowatBytes).toBeNull();
  });

  test("Windows has socket buffers of 256 KiB, below presets and keys", () => {
    const windows: Machine = { ...LINUX, platform: "win32" };
    const socket = (rest: string) => compileText(entry(rest), windows).listeners[0]!.socket;
    expect(socket("")).toMatchObject({ sendBufferBytes: 262_144, receiveBufferBytes: 262_144 });
    expect(socket(", preset: client")).toMatchObject({ sendBufferBytes: 131_072 });
    expect(socket(", socket: { send_buffer: 32KB }")).toMatchObject({
      sendBufferBytes: 32_768,
      receiveBufferBytes: 262_144,
    });
  });
});

describe("the ring's buffers", () => {
  const ring = (rest: string) => compileText(`uring: { ${rest} }\n${entry()}`).ring;

  test("are 2,048 of 4 KiB unless told otherwise", () => {
    expect(compileText(entry()).ring).toEqual({ bufferBytes: 4_096, buffers: 2_048 });
  });

  test("are as many as their memory holds, down to a power of two", () => {
    expect(ring("buffer_size: 16KB")).toEqual({ bufferBytes: 16_384, buffers: 512 });
    expect(ring("buffer_memory: 3MB")).toEqual({ bufferBytes: 4_096, buffers: 512 });
    expect(ring("buffer_size: 512, buffer_memory: 1GB").buffers).toBe(32_768);
  });
});

describe("watermarks", () => {
  const buffers = (rest: string) => relayOf(entry(rest)).buffers;

  test("a high one alone halves for the low one", () => {
    expect(buffers(", backpressure: { high_watermark: 96KB }")).toEqual({
      copyBytes: 65_536,
      highWatermarkBytes: 98_304,
      lowWatermarkBytes: 49_152,
    });
  });

  test("a read never exceeds the high one, whatever the preset", () => {
    expect(
      buffers(", preset: high_throughput, backpressure: { high_watermark: 16KB }").copyBytes,
    ).toBe(16_384);
    expect(buffers(", preset: high_throughput").copyBytes).toBe(262_144);
  });

  test("a low one alone is kept beside the preset's high one", () => {
    expect(buffers(", preset: server, backpressure: { low_watermark: 64KB }")).toEqual({
      copyBytes: 65_536,
      highWatermarkBytes: 2_097_152,
      lowWatermarkBytes: 65_536,
    });
  });
});

describe("listeners", () => {
  test("disabled ones are left out", () => {
    const plan = compileText(`protocols:
  - { name: tcp, listen: ":1", target: "a:1" }
  - { name: http, listen: ":2", target: "a:1", enabled: false }`);
    expect(plan.listeners.map(({ key }) => key)).toEqual(["tcp :1"]);
  });

  test("keys are unique even where the system chooses the port", () => {
    const one = '{ name: tcp, listen: ":0", target: "a:1" }';
    const plan = compileText(`protocols: [${one}, ${one}, ${one}]`);
    expect(plan.listeners.map(({ key }) => key)).toEqual(["tcp :0", "tcp :0#2", "tcp :0#3"]);
  });
});

describe("udp", () => {
  const udp = (rest: string) =>
    compileText(`protocols: [{ name: udp, listen: ":53", ${rest} }]`).listeners[0] as UdpPlan;

  test("has one target of weight 1, sessions of a minute, and ten thousand of them", () => {
    const endpoint = { kind: "tcp", host: "a", port: 53 } as const;
    expect(udp('target: "a:53"')).toEqual({
      key: "udp :53",
      protocol: "udp",
      listen: { kind: "tcp", host: "", port: 53 },
      groups: [singleTarget(endpoint)],
      access: { allow: [], deny: [] },
      limits: { maxConnections: 10_000, maxPerIp: 0, acceptRate: 0 },
      timeouts: { idleMs: 60_000 },
      socket: { sendBufferBytes: null, receiveBufferBytes: null },
    });
  });

  test("counts its sessions by either name, over a preset's", () => {
    for (const key of ["max_sessions", "max_connections"]) {
      const plan = udp(`target: "a:53", preset: server, limits: { ${key}: 7 }`);
      expect(plan.limits).toEqual({ maxConnections: 7, maxPerIp: 0, acceptRate: 0 });
      expect(plan.timeouts).toEqual({ idleMs: 300_000 });
    }
  });
});

test("a plan is frozen to its leaves and survives being sent to a thread", () => {
  const plan = compileText(entry(", preset: server"));
  const frozen = (value: unknown): boolean =>
    typeof value !== "object" ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every((inner) => frozen(inner)));
  expect(frozen(plan)).toBe(true);
  expect(structuredClone(plan)).toEqual(plan);
});
