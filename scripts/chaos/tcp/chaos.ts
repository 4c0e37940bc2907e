// Clients of every kind against a proxy of raw TCP whose workers are killed, whose targets change, and beside which a
// second proxy comes and goes, for as long as it is told. Afterwards nothing may be left of any of it. Called by chaos.ts.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  countDescriptors,
  cpuMs,
  type DescriptorCounts,
  residentBytes,
} from "../../../test/support/proc.ts";
import { within } from "../../../test/support/until.ts";
import { type Wire, WireServer } from "../../../test/support/wire.ts";
import { counted, growthOf, MIB, mib, type Sample, slopeOf } from "../figures.ts";
import { randomFrom } from "../random.ts";
import { answer, type Exchange, request, Violation } from "./exchanges.ts";
import type { Answer, Place, Question, State } from "./messages.ts";

export interface TcpSettings {
  readonly minutes: number;
  readonly engine: string;
  readonly seed: number;
  readonly lanes: number;
}

const HUNG_MS = 30_000;
const SETTLE_MS = 15_000;
/** Connections that a crash cut may be noticed this much later. */
const AFTERMATH_MS = 2_000;
/** The news of whom a disconnect met may come later than the reset. */
const NEWS_MS = 500;
/** What a runtime's heap may waver by; a leak of one page for each connection would be more in any run of minutes. */
const GROWTH_MAX_BYTES = 24 * MIB;

/** The process under test. */
class Child {
  readonly #process: Bun.Subprocess;
  readonly #askers: ((answer: Answer) => void)[] = [];
  readonly exited: Promise<number>;

  constructor(engine: string, folder: string, targets: readonly string[]) {
    const script = join(import.meta.dir, "relay.ts");
    this.#process = Bun.spawn([process.execPath, script, engine, folder, targets.join(",")], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: Answer) => this.#askers.shift()?.(message),
    });
    this.exited = this.#process.exited;
  }

  get pid(): number {
    return this.#process.pid;
  }

  ask<T extends Answer>(question: Question): Promise<T> {
    const answered = new Promise<Answer>((resolve) => this.#askers.push(resolve));
    this.#process.send(question);
    const died = this.exited.then((code) => {
      throw new Error(`the proxy ended with code ${code}`);
    });
    return within(question.do, Promise.race([answered, died]), HUNG_MS) as Promise<T>;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

class Chaos {
  readonly #child: Child;
  readonly #main: readonly Place[];
  #guest: readonly Place[] = [];
  readonly violations: string[] = [];
  readonly endings = new Map<string, number>();
  readonly counts = {
    exchanges: 0,
    disturbed: 0,
    bytes: 0,
    crashes: 0,
    disconnects: 0,
    "target updates": 0,
    "second proxies": 0,
  };
  /** Client ports whose connection was reset on demand. */
  readonly #victims = new Set<number>();
  /** Grows with each crash, and each end of the second proxy. */
  #disturbances = 0;
  #disturbedUntil = 0;
  #disconnectedAt = 0;
  readonly #begin = performance.now();
  #running = true;
  readonly #lanes: number;
  readonly #random: () => number;

  constructor(child: Child, places: readonly Place[], { seed, lanes }: TcpSettings) {
    this.#child = child;
    this.#main = places;
    this.#lanes = lanes;
    this.#random = randomFrom(seed);
  }

  #upTo(max: number): number {
    return Math.trunc(this.#random() * max);
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[this.#upTo(list.length)]!;
  }

  stop(): void {
    this.#running = false;
  }

  #violate(what: string): void {
    const seconds = ((performance.now() - this.#begin) / 1000).toFixed(0);
    this.violations.push(`after ${seconds} s: ${what}`);
  }

  #note(ending: string): void {
    this.endings.set(ending, (this.endings.get(ending) ?? 0) + 1);
  }

  #exchange(seed: number): Exchange {
    const size = (): number => Math.trunc(this.#random() ** 6 * 4 * MIB);
    const [up, down] = [size(), size()];
    // Not more than a thousand pieces: who writes single bytes all day is this process, not the proxy.
    const smallest = 1 + Math.trunc(Math.max(up, down) / 1_000);
    // Streams of small pieces go back and forth between an engine's ways of moving bytes.
    const largest = this.#random() < 0.3 ? 3 * 1024 : 256 * 1024;
    return {
      seed,
      up,
      down,
      chunk: smallest + Math.trunc(this.#random() ** 3 * largest),
      resets: this.#random() < 0.15 ? this.#oneOf(["client", "target"] as const) : "",
      stalls: this.#random() < 0.15 ? this.#oneOf(["client", "target"] as const) : "",
      stallMs: this.#upTo(1_500),
      restMs: this.#random() < 0.1 ? this.#upTo(3_000) : 0,
    };
  }

  async lane(lane: number): Promise<void> {
    for (let i = 0; this.#running; i++) {
      await Bun.sleep(this.#random() ** 3 * 300);
      const e = this.#exchange(2 * (lane + this.#lanes * (i % 1_000)));
      await this.#play(e, this.#oneOf([...this.#main, ...this.#main, ...this.#guest]));
    }
  }

  async #play(e: Exchange, place: Place): Promise<void> {
    const before = this.#disturbances;
    let port = 0;
    let ending: string;
    try {
      const played = request(place, e, (local) => (port = local));
      ending = await within(`seed ${e.seed}`, played, HUNG_MS);
    } catch (error) {
      const what =
        error instanceof Violation ? error.message : `hangs: ${(error as Error).message}`;
      this.#violate(`${JSON.stringify(place)} ${JSON.stringify(e)} ${what}`);
      return;
    }
    this.counts.exchanges++;
    this.counts.bytes += e.up + e.down;
    this.#note(ending);
    if (ending === "fin") return;
    if (e.resets !== "") return;
    await Bun.sleep(NEWS_MS);
    // A client that is reset at once never learns its own port.
    const unknown = port === 0 && performance.now() - this.#disconnectedAt < 2 * NEWS_MS;
    const changed = this.#disturbances !== before || performance.now() < this.#disturbedUntil;
    const disturbed = changed || unknown;
    if (disturbed || this.#victims.delete(port)) this.counts.disturbed++;
    else this.#violate(`${JSON.stringify(e)} ended with ${ending}`);
  }

  #disturb(): void {
    this.#disturbances++;
    this.#disturbedUntil = Math.max(this.#disturbedUntil, performance.now() + AFTERMATH_MS);
  }

  /** One thing after the other that an operator or a bug may do. */
  async disturb(): Promise<void> {
    let nextCrash = performance.now() + 10_000;
    while (this.#running) {
      await Bun.sleep(200 + this.#upTo(1_500));
      if (!this.#running) return;
      const what = this.#upTo(10);
      if (what < 5) await this.#disconnect();
      else if (what < 8) await this.#retarget();
      else await this.#toggleGuest();
      if (performance.now() < nextCrash) continue;
      await this.#crash();
      nextCrash = performance.now() + 10_000 + this.#upTo(20_000);
    }
    if (this.#guest.length > 0) await this.#toggleGuest();
  }

  async #disconnect(): Promise<void> {
    this.#disconnectedAt = performance.now();
    const { port } = await this.#child.ask<{ port: number }>({ do: "disconnect" });
    if (port > 0) this.#victims.add(port);
    this.counts.disconnects++;
  }

  async #retarget(): Promise<void> {
    const targets = [0, 1, 2].filter(() => this.#random() < 0.6);
    await this.#child.ask({
      do: "targets",
      targets: targets.length > 0 ? targets : [this.#upTo(3)],
    });
    this.counts["target updates"]++;
  }

  async #toggleGuest(): Promise<void> {
    if (this.#guest.length === 0) {
      const { places } = await this.#child.ask<{ places: readonly Place[] }>({ do: "open" });
      this.#guest = places;
      this.counts["second proxies"]++;
      return;
    }
    this.#guest = [];
    this.#disturbances++;
    await this.#child.ask({ do: "close", drain: this.#random() < 0.5 });
    this.#disturb();
  }

  async #crash(): Promise<void> {
    this.counts.crashes++;
    this.#disturbedUntil = Infinity;
    this.#disturbances++;
    await this.#child.ask({ do: "crash", worker: this.#upTo(2) });
    const deadline = performance.now() + HUNG_MS;
    for (;;) {
      await Bun.sleep(50);
      const { complete } = await this.#child.ask<State>({ do: "state", collect: false });
      if (complete) break;
      if (performance.now() > deadline) {
        this.#violate("a worker that crashed is not replaced");
        break;
      }
    }
    this.#disturbedUntil = 0;
    this.#disturb();
  }
}

async function sample(child: Child, begin: number, samples: Sample[]): Promise<void> {
  const { rows } = await child.ask<State>({ do: "state", collect: samples.length % 10 === 0 });
  const seconds = Math.round((performance.now() - begin) / 1000);
  const open = countDescriptors(child.pid);
  samples.push({ seconds, rss: residentBytes(child.pid), rows, open });
}

async function settle(child: Child): Promise<State> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const state = await child.ask<State>({ do: "state", collect: true });
    if (state.rows === 0 || performance.now() > deadline) return state;
    await Bun.sleep(100);
  }
}

/** Everything that the run has to show. */
interface Outcome {
  readonly chaos: Chaos;
  readonly samples: readonly Sample[];
  readonly cpuPercent: number;
  readonly rest: State;
  readonly base: DescriptorCounts;
  readonly atRest: DescriptorCounts;
  readonly after: DescriptorCounts;
}

async function run(child: Child, settings: TcpSettings): Promise<Outcome> {
  await child.ask<State>({ do: "state", collect: true });
  const base = countDescriptors(child.pid);
  const { places } = await child.ask<{ places: readonly Place[] }>({ do: "start" });
  const chaos = new Chaos(child, places, settings);
  const samples: Sample[] = [];
  const begin = performance.now();
  const cpuBefore = cpuMs(child.pid);
  const lanes = Array.from({ length: settings.lanes }, (_, lane) => chaos.lane(lane));
  const disturbing = chaos.disturb();
  const end = begin + settings.minutes * 60_000;
  while (performance.now() < end) {
    await Bun.sleep(Math.min(1_000, Math.max(0, end - performance.now())));
    await sample(child, begin, samples);
  }
  chaos.stop();
  await within("the lanes", Promise.all([...lanes, disturbing]), HUNG_MS * 2);
  const cpuPercent = (cpuMs(child.pid) - cpuBefore) / ((performance.now() - begin) / 100);
  const rest = await settle(child);
  const atRest = countDescriptors(child.pid);
  await child.ask({ do: "stop" });
  const after = countDescriptors(child.pid);
  return { chaos, samples, cpuPercent, rest, base, atRest, after };
}

function violationsOf({ chaos, samples, rest, base, after }: Outcome): string[] {
  const violations = [...chaos.violations, ...rest.errors];
  const growth = growthOf(samples);
  if (rest.rows > 0) violations.push(`${rest.rows} rows are left`);
  if (after.all > base.all)
    violations.push(`descriptors: ${counted(base)}, then ${counted(after)}`);
  if (growth > GROWTH_MAX_BYTES) violations.push(`memory grew by ${mib(growth)}`);
  if (rest.restarts !== chaos.counts.crashes) {
    violations.push(`${rest.restarts} restarts for ${chaos.counts.crashes} crashes`);
  }
  return violations;
}

function show(settings: TcpSettings, outcome: Outcome): void {
  const { chaos, samples, cpuPercent, rest, base, atRest, after } = outcome;
  const { exchanges, disturbed, bytes, ...counts } = chaos.counts;
  const slope = slopeOf(samples.slice(samples.length >> 1));
  const table = {
    engine: settings.engine,
    seed: settings.seed,
    minutes: settings.minutes,
    exchanges,
    "bytes both ways": mib(bytes),
    endings: [...chaos.endings].map(([ending, count]) => `${ending} ${count}`).join(", "),
    "ended by chaos": disturbed,
    ...counts,
    "rows at most / at rest": `${Math.max(...samples.map((s) => s.rows))} / ${rest.rows}`,
    "descriptors before": counted(base),
    "descriptors at most": Math.max(...samples.map((s) => s.open.all)),
    "descriptors at rest": counted(atRest),
    "descriptors after stop": counted(after),
    "memory first / last": `${mib(samples[0]?.rss ?? 0)} / ${mib(samples.at(-1)?.rss ?? 0)}`,
    "memory, last quarter over second": mib(growthOf(samples)),
    "memory, slope of the second half": `${mib(slope)} a minute`,
    "CPU of the proxy": `${cpuPercent.toFixed(0)} %`,
  };
  for (const [name, value] of Object.entries(table)) console.log(`${name.padEnd(34)}${value}`);
}

/** @returns the exit code. */
export async function tormentTcp(settings: TcpSettings): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "proxy-chaos-"));
  const wrong: string[] = [];
  const serve = (wire: Wire): void =>
    void answer(wire).catch((error: unknown) => wrong.push(`at a target: ${String(error)}`));
  const servers = await Promise.all([
    WireServer.listen(serve),
    WireServer.listen(serve),
    WireServer.listen(serve, { path: join(folder, "target") }),
  ]);
  const targets = servers.map(({ target }) => target);
  const child = new Child(settings.engine, folder, targets);
  try {
    const outcome = await run(child, settings);
    show(settings, outcome);
    const violations = [...violationsOf(outcome), ...wrong];
    console.log(`${"violations".padEnd(34)}${violations.length}`);
    for (const violation of violations.slice(0, 20)) console.log(`VIOLATION ${violation}`);
    return violations.length === 0 ? 0 : 1;
  } finally {
    child.kill();
    for (const server of servers) await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}
