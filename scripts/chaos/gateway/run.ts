// A run of chaos over gateway workers: rounds of clients with something done to the proxy meanwhile, and after each a quiet
// point, at which nothing may be left of any of it. Called by chaos.ts.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ListenerState } from "../../../src/control/admin/schemas.ts";
import { cpuMs, descriptors, residentBytes } from "../../../test/support/proc.ts";
import { within } from "../../../test/support/until.ts";
import { median, MIB, mib } from "../figures.ts";
import { randomFrom } from "../random.ts";
import { Disturber } from "./disturber.ts";
import { Journal } from "./journal.ts";
import type { GatewaySettings } from "./kinds.ts";
import { Lanes } from "./lanes.ts";
import { Subject } from "./subject.ts";
import { World } from "./world.ts";

const HUNG_MS = 180_000;
/** After the last client is gone: connections that rest, sessions of UDP, and QUIC connections that fell silent. */
const SETTLE_MS = 60_000; // above H3.clientIdleMs: a CONNECTION_CLOSE may be lost
/** Of one lane in a round. */
const SESSIONS = 6;
/** Rounds in which caches fill, code is compiled and pools grow. */
const WARM_SHARE = 0.4;
const ROUNDS_MIN = 8; // or memory says nothing
/** What runtimes' heaps may waver by between two rounds, over all threads. */
const GROWTH_MAX_BYTES = 24 * MIB;
/**
 * What a thread that ends leaves behind: its image of the QUIC binding (ffi/addon-image.ts), and what the runtime keeps of
 * it.
 */
const CRASH_BYTES = 10 * MIB;

/** Descriptors. */
interface Open {
  /** What polls others. */
  readonly loops: number;
  /** Images of the QUIC binding (ffi/addon-image.ts): one for each thread that ever spoke it. */
  readonly images: number;
  readonly others: number;
}

function openOf(pid: number): Open {
  const all = descriptors(pid);
  const loops = all.filter((name) => name.includes("eventpoll")).length;
  const images = all.filter((name) => name.startsWith("/memfd:addon")).length;
  return { loops, images, others: all.length - loops - images };
}

/** A quiet point. */
interface Quiet {
  readonly rss: number;
  readonly crashes: number;
  readonly open: Open;
}

export async function tormentGateway(settings: GatewaySettings): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "proxy-chaos-"));
  const journal = new Journal();
  const world = await World.open(settings, journal);
  const file = join(folder, "proxy.yaml");
  writeFileSync(file, world.configuration.text);
  const subject = await Subject.start(file, world.configuration.adminPort, journal, settings.log);
  try {
    const run = new Run({ settings, journal, world, subject, file });
    await run.play();
    run.show();
    if (settings.log !== "") for (const each of journal.excused) console.log(`excused ${each}`);
    for (const violation of journal.violations.slice(0, 20)) console.log(`VIOLATION ${violation}`);
    return journal.violations.length === 0 ? 0 : 1;
  } finally {
    subject.kill();
    world.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Parts {
  readonly settings: GatewaySettings;
  readonly journal: Journal;
  readonly world: World;
  readonly subject: Subject;
  readonly file: string;
}

class Run {
  readonly #parts: Parts;
  readonly #lanes: Lanes;
  readonly #disturber: Disturber;
  readonly #quiet: Quiet[] = [];
  readonly #begin = performance.now();
  #base: Open | null = null;
  #cpuPercent = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { settings, journal, world } = parts;
    const random = randomFrom(settings.seed);
    this.#lanes = new Lanes(settings, journal, world, random);
    this.#disturber = new Disturber({
      ...parts,
      configuration: world.configuration,
      random: randomFrom(settings.seed + 1),
      workers: settings.workers,
      calm: settings.calm,
      groupOf: (configured) => world.groupOf(configured),
    });
  }

  async play(): Promise<void> {
    const { settings, subject, journal } = this.#parts;
    await this.#settle(); // whoever loads something when it is first asked has not, which the first round shows
    const end = this.#begin + settings.minutes * 60_000;
    for (let round = 0; round < settings.rounds; round++) {
      const isLast = settings.rounds === Infinity && performance.now() > end;
      if (isLast || journal.violations.length > 50) break;
      await this.#round(round);
    }
    const cpu = cpuMs(subject.pid);
    this.#cpuPercent = cpu / ((performance.now() - this.#begin) / 100);
    this.#judgeMemory();
    const code = await subject.stop();
    if (code !== 0) journal.violate(`the proxy ended with code ${code}`);
  }

  async #round(round: number): Promise<void> {
    const { journal, subject } = this.#parts;
    const disturbing = this.#disturber.run(round > 0 && round % 2 === 1);
    try {
      await within("the lanes", this.#lanes.round(SESSIONS), HUNG_MS);
    } catch (error) {
      journal.violate((error as Error).message);
    }
    this.#disturber.stop();
    await within("the disturber", disturbing, HUNG_MS);
    await this.#settle();
    const { crashes } = subject;
    const open = openOf(subject.pid);
    this.#quiet.push({ rss: residentBytes(subject.pid), crashes, open });
    this.#base ??= { ...open, others: open.others - this.#parts.world.configuration.guestSockets };
    const { workerRestarts } = await subject.status();
    if (workerRestarts !== crashes)
      journal.violate(`${workerRestarts} restarts for ${crashes} crashes`);
  }

  /** The first round shows what is opened when it is first needed. @returns what is there and should not be; empty: nothing. */
  #tooMany(open: Open): string {
    const { world, settings, subject } = this.#parts;
    const { others } = this.#base ?? open;
    const mayBe = others + world.configuration.guestSockets + world.keptSockets;
    if (open.others > mayBe) return `${open.others} descriptors, after ${others}`;
    const images = settings.workers + subject.crashes;
    if (open.images > images) return `${open.images} images`;
    // Of each worker its event loop, and what reads ahead of it once there is something to read.
    const loops = 2 * (settings.workers + 1);
    return open.loops > loops ? `${open.loops} event loops` : "";
  }

  /** Until nothing is left, or too long. */
  async #settle(): Promise<void> {
    const { subject, journal, world } = this.#parts;
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      const left = await this.#left();
      if (left === "") break;
      if (performance.now() > deadline) {
        journal.violate(`left at a quiet point: ${left}`);
        break;
      }
      await Bun.sleep(100);
      world.sweep();
    }
    await subject.collect();
    await Bun.sleep(300);
  }

  async #left(): Promise<string> {
    const { subject, world } = this.#parts;
    const { connections } = await subject.status();
    const listeners = await subject.listeners();
    const left = listeners.flatMap(leftOf);
    if (connections > 0) {
      const rows = (await subject.connections(3)).connections;
      left.push(`${connections} rows, of which ${JSON.stringify(rows)}`);
    }
    const many = this.#tooMany(openOf(subject.pid));
    if (many !== "") left.push(many);
    const backends = world.openBackends();
    if (backends > 0) left.push(`${backends} connections to backends`);
    return left.join(", ");
  }

  #judgeMemory(): void {
    const { journal } = this.#parts;
    if (this.#quiet.length < ROUNDS_MIN) return;
    const { growth, crashes } = this.#growth();
    const allowed = GROWTH_MAX_BYTES + crashes * CRASH_BYTES;
    if (growth > allowed) journal.violate(`memory grew by ${mib(growth)}, with ${crashes} crashes`);
  }

  /** Of the last third of the rounds over the first after warming up. */
  #growth(): { growth: number; crashes: number } {
    const warm = this.#quiet.slice(Math.trunc(this.#quiet.length * WARM_SHARE));
    const third = Math.max(1, Math.trunc(warm.length / 3));
    const [first, last] = [warm.slice(0, third), warm.slice(-third)];
    const middle = (of: readonly Quiet[]): number => median(of.map(({ rss }) => rss));
    const crashes = (last.at(-1)?.crashes ?? 0) - (first[0]?.crashes ?? 0);
    return { growth: middle(last) - middle(first), crashes };
  }

  show(): void {
    const { settings, journal } = this.#parts;
    const { growth, crashes } = this.#growth();
    const rss = this.#quiet.map((each) => mib(each.rss)).join(", ");
    const table = {
      kinds: settings.kinds.join(","),
      seed: settings.seed,
      "minutes, rounds": `${((performance.now() - this.#begin) / 60_000).toFixed(1)}, ${this.#quiet.length}`,
      ...Object.fromEntries([...journal.counts].toSorted()),
      "descriptors at quiet points": this.#quiet.map(({ open }) => open.others).join(" "),
      "memory at quiet points": rss,
      "memory, last third over first": `${mib(growth)}, ${crashes} crashes between`,
      "CPU of the proxy": `${this.#cpuPercent.toFixed(0)} %`,
      violations: journal.violations.length,
    };
    for (const [name, value] of Object.entries(table)) console.log(`${name.padEnd(34)}${value}`);
  }
}

function leftOf({ key, connections, http, targets }: ListenerState): string[] {
  const left: string[] = [];
  if (connections.active !== 0) left.push(`${connections.active} connections of ${key}`);
  if (http !== null && http.active !== 0) left.push(`${http.active} requests of ${key}`);
  for (const { name, active } of targets) {
    if (active !== 0) left.push(`${active} at ${name} of ${key}`);
  }
  return left;
}
