// Two relays that are loaded in turn for a tenth of a second each, by one process over connections that stay: what else the
// machine does meets both alike, and so does whatever this process does. Messages go to the backend and back as in pingpong.ts,
// and may be large. Prints one JSON line with the turns of both. Started by bench/against.ts.

import { ptr } from "bun:ffi";

import { connectBlocking, EAGAIN, errno, fail, libc, MSG_DONTWAIT, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, Poller } from "./poller.ts";
import { cpuSince, cpuTime } from "./usage.ts";

export interface DuelRequest {
  relays: { port: number; pids: number[] }[];
  connections: number;
  /** Of a message. All that are under way fit into the sockets' buffers: sends block. */
  bytes: number;
  /** How long each is loaded before it counts. */
  warmMs: number;
  turnMs: number;
  /** Of each relay. */
  turns: number;
}

export interface Turn {
  messages: number;
  elapsedMs: number;
  /** User and system. */
  cpuMs: number;
}

const HANGS_MS = 5_000;
/** At the beginning of a turn: the relay's code and data come back into the caches. */
const RAMP_MS = 10;

const { relays, connections, bytes, ...request } = JSON.parse(process.argv[2]!) as DuelRequest;
// Over ArrayBuffers of their own: JavaScriptCore moves small typed arrays that are not, and the addresses are kept.
const message = ptr(new Uint8Array(new ArrayBuffer(bytes)));
const buffer = ptr(new Uint8Array(new ArrayBuffer(bytes)));

class Load {
  readonly pids: number[];
  readonly #poller = new Poller();
  readonly #fds: number[];
  /** By descriptor: bytes of the echo that are still to come. */
  readonly #missing: Int32Array;

  constructor({ port, pids }: DuelRequest["relays"][number]) {
    this.pids = pids;
    this.#fds = Array.from({ length: connections }, () => connectBlocking(port));
    this.#missing = new Int32Array(Math.max(...this.#fds) + 1);
    for (const fd of this.#fds) this.#poller.add(fd, EPOLLIN);
  }

  #send(fd: number): void {
    this.#missing[fd] = bytes;
    if (libc.send(fd, message, bytes, MSG_NOSIGNAL) !== bytes) fail("send");
  }

  /** @returns whether the echo is there. */
  #receive(fd: number): boolean {
    const got = libc.recv(fd, buffer, this.#missing[fd]!, MSG_DONTWAIT);
    if (got < 0 && errno() === EAGAIN) return false;
    if (got <= 0) throw new Error("a connection ended");
    this.#missing[fd]! -= got;
    return this.#missing[fd] === 0;
  }

  /** Until time is over and every echo is there. @returns how many were. */
  run(ms: number): number {
    const end = performance.now() + ms;
    let messages = 0;
    let open = connections;
    for (const fd of this.#fds) this.#send(fd);
    while (open > 0) {
      const ready = this.#poller.wait(HANGS_MS);
      if (ready === 0) throw new Error(`no echo after ${messages} messages`);
      const goesOn = performance.now() < end;
      for (let i = 0; i < ready; i++) {
        const fd = this.#poller.fdAt(i);
        if (!this.#receive(fd)) continue;
        messages++;
        if (goesOn) this.#send(fd);
        else open--;
      }
    }
    return messages;
  }

  turn(ms: number): Turn {
    this.run(RAMP_MS);
    const before = cpuTime(this.pids);
    const begin = performance.now();
    const messages = this.run(ms);
    const elapsedMs = performance.now() - begin;
    const { userMs, systemMs } = cpuSince(before, this.pids);
    return { messages, elapsedMs, cpuMs: userMs + systemMs };
  }
}

const loads = relays.map((relay) => new Load(relay));
for (const load of loads) load.run(request.warmMs);
const turns: Turn[][] = loads.map(() => []);
for (let i = 0; i < request.turns; i++) {
  // Another one first each time.
  for (let k = 0; k < loads.length; k++) {
    const which = (i + k) % loads.length;
    turns[which]!.push(loads[which]!.turn(request.turnMs));
  }
}
console.log(JSON.stringify(turns));
