// What a service manager and a service say to each other: sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3), all by
// environment variables and datagrams. Without a manager every call does nothing. Called by the run command.

import { monotonicUsec, sendDatagram } from "../ffi/notify.ts";
import type { InheritedSocket } from "./inheritance.ts";

/** The first descriptor of socket activation, SD_LISTEN_FDS_START. */
const FIRST_FD = 3;

/** What concerns one process only: a program that is started by it must not see it. */
export const OF_ONE_PROCESS = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"];

type Environment = Readonly<Record<string, string | undefined>>;

export class ServiceManager {
  /** Where to send notifications; empty: nobody listens. */
  readonly #socket: string;
  /** How often the manager wants to hear that we are alive; 0: never. */
  readonly #watchdogUsec: number;
  /** Bound by the manager (socket activation). */
  readonly sockets: readonly InheritedSocket[];
  #timer: NodeJS.Timeout | undefined;

  constructor(env: Environment) {
    const linux = process.platform === "linux";
    this.#socket = linux ? (env.NOTIFY_SOCKET ?? "") : "";
    const watched = isOurs(env.WATCHDOG_PID ?? String(process.pid));
    this.#watchdogUsec = watched ? Number(env.WATCHDOG_USEC ?? 0) || 0 : 0;
    this.sockets = linux && isOurs(env.LISTEN_PID) ? listenFds(env) : [];
  }

  /** Somebody is to be told. */
  get present(): boolean {
    return this.#socket !== "";
  }

  /** All listeners serve. The manager takes this process for the main one, whichever it was that it started. */
  ready(status: string): void {
    this.#notify("READY=1", `MAINPID=${process.pid}`, `STATUS=${status}`);
  }

  /** An upgrade begins; `ready` follows from whichever process serves then. */
  reloading(status: string): void {
    this.#notify("RELOADING=1", `MONOTONIC_USEC=${monotonicUsecText()}`, `STATUS=${status}`);
  }

  stopping(status: string): void {
    this.#notify("STOPPING=1", `STATUS=${status}`);
  }

  /**
   * Tells the manager twice in each of its intervals that the service is alive, as long as `alive` resolves with true: a
   * worker that hangs is a service that hangs, and is restarted.
   */
  watch(alive: () => Promise<boolean>): void {
    if (this.#watchdogUsec <= 0 || this.#socket === "") return;
    let asking = false;
    const beat = async (): Promise<void> => {
      if (asking) return;
      asking = true;
      const answer = await alive();
      asking = false;
      if (answer && this.#timer !== undefined) this.#notify("WATCHDOG=1");
    };
    this.#timer = setInterval(() => void beat(), this.#watchdogUsec / 2_000);
    this.#timer.unref();
    void beat(); // the interval goes on from the predecessor's last
  }

  /** Another process is the service from here on, or none. */
  unwatch(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A manager that does not listen is not ours to complain about. */
  #notify(...lines: string[]): void {
    if (this.#socket !== "") sendDatagram(this.#socket, lines.map(oneLine).join("\n"));
  }
}

function oneLine(text: string): string {
  return text.replaceAll("\n", "; ");
}

function monotonicUsecText(): string {
  return process.platform === "linux" ? String(monotonicUsec()) : "0";
}

function isOurs(pid: string | undefined): boolean {
  return pid === String(process.pid);
}

function listenFds(env: Environment): InheritedSocket[] {
  const count = Number(env.LISTEN_FDS ?? 0) || 0;
  const names = (env.LISTEN_FDNAMES ?? "").split(":");
  return Array.from({ length: count }, (_, i) => {
    return { fd: FIRST_FD + i, key: "", name: names[i] || "unknown", worker: null };
  });
}
