// Addresses of connections and listeners as library users see them. `String(addr)` is what `dial` and `listen` read back.

import { formatSocketAddress, type SocketAddress } from "../shared/address.ts";

/** One end of a connection, or where a listener is bound. */
export class Addr {
  /** `tcp`, or `unix` for a unix stream socket. */
  readonly network: "tcp" | "unix";
  /** A numeric address without brackets; empty for unix sockets. */
  readonly host: string;
  /** 0 for unix sockets. */
  readonly port: number;
  /** The file of a unix socket; empty for TCP and for the unnamed end of a unix connection. */
  readonly path: string;

  constructor(address: SocketAddress) {
    this.network = address.kind === "unix" ? "unix" : "tcp";
    this.host = address.kind === "unix" ? "" : address.host;
    this.port = address.kind === "unix" ? 0 : address.port;
    this.path = address.kind === "unix" ? address.path : "";
  }

  /** `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`. */
  toString(): string {
    if (this.network === "unix") return `unix:${this.path}`;
    return formatSocketAddress({ kind: "ip", host: this.host, port: this.port });
  }

  toJSON(): string {
    return this.toString();
  }
}

/** An IPv4 client of a listener on `[::]` appears as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2); people write `a.b.c.d`. */
export function ipAddr(host: string, port: number): Addr {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  return new Addr({ kind: "ip", host: mapped ? mapped[1]! : host, port });
}

export function unixAddr(path: string): Addr {
  return new Addr({ kind: "unix", path });
}
