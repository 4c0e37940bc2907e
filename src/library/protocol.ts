// What a tunnel speaks. `tcp()` is built in and runs wholly on the relay engine; a protocol of one's own needs these four
// members and runs in the thread that starts the tunnel.

import type { Conn, Listener } from "./conn.ts";
import { dial, type DialOptions } from "./dial.ts";
import { type Forwarder, type ForwardOptions, newForwarder } from "./forward.ts";
import { listen, type ListenOptions } from "./listen.ts";

/** How a tunnel listens, dials and relays. */
export interface Protocol {
  /** For messages and logs. */
  readonly name: string;
  /**
   * Opens the tunnel's `listenAddr`.
   * @param options what the tunnel's configuration asks of connections: pass it on to `listen`.
   */
  listen(addr: string, options: ListenOptions): Promise<Listener>;
  /**
   * Connects to the tunnel's `targetAddr`, once for each client.
   * @param options as for `listen`, with a timeout and a signal that ends with the tunnel: pass it on to `dial`.
   */
  dial(addr: string, options: DialOptions): Promise<Conn>;
  /**
   * Relays between a client and its target.
   * @param options what the tunnel's configuration asks of the relay: pass it on to `newForwarder`.
   */
  forwarder(options: ForwardOptions): Forwarder;
}

class Tcp implements Protocol {
  readonly name = "tcp";

  listen(addr: string, options: ListenOptions = {}): Promise<Listener> {
    return listen(addr, options);
  }

  dial(addr: string, options: DialOptions = {}): Promise<Conn> {
    return dial(addr, options);
  }

  forwarder(options: ForwardOptions = {}): Forwarder {
    return newForwarder(options);
  }
}

/** Raw TCP, and unix stream sockets. A tunnel with it runs on the relay engine's own threads. */
export function tcp(): Protocol {
  return new Tcp();
}

export function isBuiltIn(protocol: Protocol): boolean {
  return protocol instanceof Tcp;
}
