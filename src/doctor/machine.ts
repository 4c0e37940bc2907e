// What `doctor` knows of the machine, as plain data, so that every check is a pure function over it. Made by read-machine.ts.

import type { Transport } from "../shared/transports.ts";

export interface Machine {
  readonly platform: NodeJS.Platform;
  /** Sockets that take connections or datagrams; null: the system does not tell. */
  readonly sockets: readonly BoundSocket[] | null;
  /** Whether this process may bind ports below `unprivilegedPort`. */
  readonly mayBindLow: boolean;
  /** net.ipv4.ip_unprivileged_port_start. */
  readonly unprivilegedPort: number;
  /** Of RLIMIT_NOFILE the hard limit, to which the proxy raises its own; null: unknown. */
  readonly descriptors: number | null;
  /** By their names, `net.core.somaxconn`; missing: there is none. */
  readonly sysctls: ReadonlyMap<string, string>;
  readonly hasIPv6: boolean;
  readonly memory: {
    readonly totalBytes: number;
    /** Of the control group; null: it has none of its own. */
    readonly limitBytes: number | null;
  };
  readonly clock: {
    readonly nowMs: number;
    /** Whether something keeps it right (adjtimex(2)); null: the system does not tell. */
    readonly synchronised: boolean | null;
    /** When this executable was made, or put here. */
    readonly builtMs: number;
  };
  /** Which engine runs here, and why no faster one does; null: none does, for this reason. */
  readonly engine: { readonly name: string | null; readonly reason: string };
  /** Unit files that start this program. */
  readonly units: readonly string[];
  /** The process of the service manager is systemd. */
  readonly hasSystemd: boolean;
}

export interface BoundSocket {
  readonly transport: Transport;
  /** In numbers. */
  readonly host: string;
  readonly port: number;
  /** Who holds it; null: that may not be seen. */
  readonly holder: Holder | null;
}

export interface Holder {
  readonly pid: number;
  readonly command: string;
  /** It is a process of this program. */
  readonly isProxy: boolean;
}
