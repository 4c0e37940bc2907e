// What an operator or a bug does to the proxy while it serves: resets connections, drains and disables targets, reloads,
// and makes workers throw. One thing after the other; each is written down with whom it may have met.

import { writeFileSync } from "node:fs";

import type { TargetState } from "../../../src/control/admin/schemas.ts";
import type { Configuration } from "./configuration.ts";
import type { Journal } from "./journal.ts";
import type { Subject } from "./subject.ts";

const HUNG_MS = 30_000;
/** Sessions of UDP and handshakes of QUIC, whose peers ask again, find out later that nobody knows them. */
const CRASH_AFTERMATH_MS = 2_000;

export interface DisturberParts {
  readonly subject: Subject;
  readonly journal: Journal;
  readonly configuration: Configuration;
  readonly file: string;
  readonly random: () => number;
  readonly workers: number;
  readonly calm: boolean;
  /** Of a target, as it is configured: its group's name. */
  groupOf(configured: string): string;
}

/** A target that is not enabled. */
interface Out {
  readonly listener: string;
  readonly group: string;
  readonly configured: string;
}

export class Disturber {
  readonly #parts: DisturberParts;
  #out: Out[] = [];
  #running = false;

  constructor(parts: DisturberParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#running = false;
  }

  /** Until `stop`. @param crashes whether a worker throws, once, somewhere on the way. */
  async run(crashes: boolean): Promise<void> {
    const { random, calm } = this.#parts;
    this.#running = true;
    const crashAt = crashes && !calm ? 1 + Math.trunc(random() * 4) : -1;
    for (let i = 0; this.#running; i++) {
      await Bun.sleep(50 + random() * 400);
      if (!this.#running) break;
      if (i === crashAt) await this.#crash();
      else await this.#something();
    }
    for (const out of this.#out.splice(0)) await this.#set(out, "enabled");
  }

  async #something(): Promise<void> {
    const { random } = this.#parts;
    const what = random();
    if (what < 0.3) await this.#disconnect();
    else if (what < 0.5) await this.#takeOut("draining");
    else if (what < 0.6) await this.#takeOut("disabled");
    else if (what < 0.75) await this.#bringBack();
    else if (what < 0.95) await this.#reload();
    else await this.#reloadBadly();
  }

  #oneOf<T>(list: readonly T[]): T | undefined {
    return list[Math.trunc(this.#parts.random() * list.length)];
  }

  async #disconnect(): Promise<void> {
    const { subject, journal } = this.#parts;
    const { connections } = await subject.connections(200);
    const victim = this.#oneOf(connections);
    if (victim === undefined) return;
    const port = Number(/:(\d+)$/.exec(victim.client)?.[1] ?? 0);
    const over = journal.disturb(`port ${port}`, "an operator who disconnects");
    await subject.disconnect(victim.worker, victim.id);
    over();
    journal.count("disconnects");
  }

  async #takeOut(state: "draining" | "disabled"): Promise<void> {
    const { subject, journal } = this.#parts;
    const all = await subject.targets();
    const target = this.#oneOf(all.filter((each) => this.#mayGo(each)));
    if (target === undefined) return;
    const { listener, group, configured } = target;
    const out: Out = { listener, group, configured };
    this.#out.push(out);
    await this.#set(out, state);
    journal.count(`targets ${state}`);
  }

  /** The other one of its group serves. */
  #mayGo({ listener, group }: TargetState): boolean {
    const lasts = this.#parts.configuration.listeners.some(({ key }) => key === listener);
    return lasts && !this.#out.some((each) => each.listener === listener && each.group === group);
  }

  async #bringBack(): Promise<void> {
    const out = this.#oneOf(this.#out);
    if (out === undefined) return;
    this.#out = this.#out.filter((each) => each !== out);
    await this.#set(out, "enabled");
  }

  async #set(
    { listener, configured }: Out,
    state: "enabled" | "draining" | "disabled",
  ): Promise<void> {
    const { subject, journal, groupOf } = this.#parts;
    // Whoever is with a target that drains stays with it; who is with one that is disabled is reset.
    const over =
      state === "disabled"
        ? journal.disturb(`group ${groupOf(configured)}`, "a target that was disabled")
        : () => {};
    await subject.setTarget(listener, configured, state);
    over();
  }

  async #reload(): Promise<void> {
    const { subject, journal, configuration, file, random } = this.#parts;
    const changed = configuration.vary(random);
    const over = changed.map((key) =>
      journal.disturb(`listener ${key} drains`, "a listener that was replaced"),
    );
    writeFileSync(file, configuration.text);
    const refusal = await subject.reload();
    for (const each of over) each();
    if (refusal !== null) journal.violate(`a reload was refused: ${refusal}`);
    journal.count("reloads");
  }

  /** Nothing may come of it. */
  async #reloadBadly(): Promise<void> {
    const { subject, journal, configuration, file } = this.#parts;
    writeFileSync(file, configuration.text.replace('"workers"', '"wokers"'));
    const refusal = await subject.reload(true);
    if (refusal?.startsWith("422") !== true)
      journal.violate(`a bad file was not refused: ${refusal}`);
    writeFileSync(file, configuration.text);
    journal.count("reloads of a bad file");
  }

  async #crash(): Promise<void> {
    const { subject, journal, random, workers } = this.#parts;
    const over = journal.disturb("all", "a worker that crashed", CRASH_AFTERMATH_MS);
    const { crashes } = subject;
    await subject.crash(Math.trunc(random() * workers));
    journal.count("crashes");
    const deadline = performance.now() + HUNG_MS;
    for (;;) {
      await Bun.sleep(50);
      if (await this.#isComplete(crashes + 1)) break;
      if (performance.now() < deadline) continue;
      const { workers: alive } = await subject.status();
      const open = (await subject.listeners()).map(
        (each) => `${each.key} in ${each.workers.join(" ")}`,
      );
      const indexes = alive.map(({ index }) => index).join(" ");
      journal.violate(`a worker that crashed is not replaced: ${indexes} live, ${open.join(", ")}`);
      break;
    }
    over();
  }

  async #isComplete(restarts: number): Promise<boolean> {
    const { subject, workers } = this.#parts;
    const { workerRestarts } = await subject.status();
    if (workerRestarts < restarts) return false;
    const listeners = await subject.listeners();
    // What is spoken over QUIC alone is in one worker.
    return listeners.every(
      (each) => each.workers.length === (each.protocol === "quic" ? 1 : workers),
    );
  }
}
