// A session of `proxy top`: takes what the proxy tells, keys, signals and the terminal's size, and draws. What is shown and
// what keys do is decided by view.ts and state.ts. Called by top.ts.

import { setTimeout as sleep } from "node:timers/promises";

import type { AdminClient } from "../../control/admin/client.ts";
import { closed, type Snapshot } from "../../control/admin/schemas.ts";
import { ADMIN_CLIENT } from "../../shared/admin-limits.ts";
import { messageOf, ProxyError } from "../../shared/errors.ts";
import { changeTarget } from "../targets.ts";
import type { Style } from "../terminal.ts";
import { keysOf } from "./keys.ts";
import { readingOf } from "./reading.ts";
import { Screen } from "./screen.ts";
import { type Effect, press, received, START, type TopState } from "./state.ts";
import { render } from "./view.ts";

const SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** Without the cure, which a line has no room for. */
function shortly(error: unknown): string {
  const message = messageOf(error);
  const cure = error instanceof ProxyError ? error.cure : undefined;
  return cure === undefined ? message : message.slice(0, -`. ${cure}`.length);
}

export class Session {
  readonly #client: AdminClient;
  readonly #look: { readonly unicode: boolean; readonly style: Style };
  readonly #screen = new Screen();
  readonly #ended = new AbortController();
  #state: TopState = START;
  #before: Snapshot | null = null;
  #failure: unknown;

  constructor(client: AdminClient, look: { unicode: boolean; style: Style }) {
    this.#client = client;
    this.#look = look;
  }

  /** Until somebody ends it. @throws ProxyError ERR_ADMIN if nothing comes in the first place. */
  async run(): Promise<void> {
    const quit = (): void => this.#ended.abort();
    const handlers: [NodeJS.Signals, () => void][] = SIGNALS.map((signal) => [signal, quit]);
    if (process.platform !== "win32") {
      handlers.push(["SIGTSTP", () => void this.#suspend()], ["SIGCONT", () => this.#resume()]);
    }
    for (const [signal, handle] of handlers) process.on(signal, handle);
    const type = (bytes: Buffer): void => this.#typed(bytes.toString("latin1"));
    const draw = (): void => this.#draw();
    try {
      const first = Promise.withResolvers<void>();
      const following = this.#follow(first.resolve);
      await Promise.race([first.promise, following]);
      if (this.#ended.signal.aborted) return;
      this.#screen.enter();
      process.stdout.on("resize", draw);
      if (process.stdin.isTTY) process.stdin.on("data", type);
      draw();
      await following;
    } finally {
      this.#ended.abort();
      process.stdin.off("data", type).pause();
      process.stdout.off("resize", draw);
      await this.#screen.leave();
      for (const [signal, handle] of handlers) process.off(signal, handle);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** @param begun when the first picture is there. @throws ProxyError ERR_ADMIN before that. */
  async #follow(begun: () => void): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        for await (const snapshot of this.#client.snapshots(signal)) {
          this.#state = received(this.#state, readingOf(this.#before, snapshot));
          this.#before = snapshot;
          begun();
          this.#draw();
        }
      } catch (error) {
        if (this.#before === null) throw error;
        this.#state = { ...this.#state, lost: shortly(error) };
        this.#draw();
      }
      await sleep(ADMIN_CLIENT.retryMs, undefined, { signal }).catch(() => {}); // it has ended
    }
  }

  #typed(text: string): void {
    for (const key of keysOf(text)) {
      const { state, effect } = press(this.#state, key);
      this.#state = state;
      if (effect !== null) this.#do(effect);
    }
    this.#draw();
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case "quit":
        return this.#ended.abort();
      case "suspend":
        return void this.#suspend();
      case "redraw":
        return this.#draw();
      default:
        void this.#ask(effect).then(
          (said) => this.#say(said),
          (error: unknown) => this.#say(shortly(error)),
        );
    }
  }

  /** @returns what came of it. */
  async #ask(effect: Extract<Effect, { kind: "close" | "target" }>): Promise<string> {
    if (effect.kind === "close") {
      const { worker, id, client } = effect;
      const wish = { method: "DELETE", path: "/api/connections", query: { worker, id } } as const;
      const { value } = await this.#client.get(closed, wish);
      return value.closed > 0
        ? `the connection of ${client} is closed`
        : `the connection of ${client} had ended`;
    }
    const { listener, name, state } = effect;
    const { value } = await changeTarget(this.#client, listener, name, { state });
    return `${value.name} of ${listener} is ${value.state}`;
  }

  #say(said: string): void {
    this.#state = { ...this.#state, said };
    this.#draw();
  }

  async #suspend(): Promise<void> {
    if (process.platform === "win32") return; // it has no job control
    await this.#screen.leave();
    process.kill(process.pid, "SIGSTOP");
  }

  #resume(): void {
    this.#screen.enter();
    this.#draw();
  }

  #draw(): void {
    if (this.#ended.signal.aborted) return;
    // One that does not know its size, a serial line for example, says 0.
    const [columns, lines] = [process.stdout.columns || 80, process.stdout.rows || 24];
    const look = { ...this.#look, columns, lines, address: this.#client.address };
    this.#screen.draw(render(this.#state, look)).catch((error: unknown) => {
      this.#failure = error;
      this.#ended.abort();
    });
  }
}
