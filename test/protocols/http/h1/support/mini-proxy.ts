// A proxy of HTTP/1.1 for tests of the codec against real peers: a listener, one idle backend connection at most, MiniExchange
// between them.

import type { BackendConnection } from "../../../../../src/protocols/http/exchange.ts";
import { Http1Backend } from "../../../../../src/protocols/http/h1/backend.ts";
import { Http1Server } from "../../../../../src/protocols/http/h1/server.ts";
import type { WireServer } from "../../../../../src/protocols/wire/open.ts";
import { connectPlain, listenPlain } from "../../../../../src/protocols/wire/plain.ts";
import type { SocketAddress } from "../../../../../src/shared/address.ts";
import type { SocketPlan } from "../../../../../src/shared/plan.ts";
import { MiniExchange } from "./mini-relay.ts";
import { LIMITS, serverSetup, type Told } from "./setups.ts";

const SOCKET: SocketPlan = {
  nodelay: true,
  quickack: false,
  fastopen: false,
  keepaliveSeconds: 30,
  sendBufferBytes: null,
  receiveBufferBytes: null,
  notsentLowatBytes: null,
};
const MARKS = { highBytes: 256 * 1024, lowBytes: 64 * 1024 };
const COMMON = { socket: SOCKET, setOptions: () => {}, watermarks: MARKS };

export class MiniProxy implements Disposable {
  readonly servers = new Set<Http1Server>();
  readonly told: Told[] = [];
  /** Of exchanges. */
  readonly exchanges: MiniExchange[] = [];
  connections = 0;
  readonly #target: SocketAddress;
  readonly #server: WireServer;
  readonly #idle: BackendConnection[] = [];
  readonly #backends = new Set<BackendConnection>();

  constructor(target: SocketAddress, changes: Parameters<typeof serverSetup>[2] = {}) {
    this.#target = target;
    this.#server = listenPlain<null | true>({
      ...COMMON,
      address: { kind: "ip", host: "127.0.0.1", port: 0 },
      reusePort: false,
      exclusive: true,
      onAccept: () => true,
      onRefused: () => {},
      onWire: (wire) => {
        const setup = serverSetup(
          wire,
          (stream, head) => {
            const exchange = new MiniExchange(stream, head);
            this.exchanges.push(exchange);
            this.#withConnection(
              (connection) => exchange.start(connection, head),
              (failure) => exchange.onResponseFailure(failure),
            );
          },
          changes,
        );
        this.told.push(setup.told);
        this.servers.add(new Http1Server(setup));
      },
    });
  }

  get port(): number {
    return (this.#server.address as { port: number }).port;
  }

  #withConnection(
    use: (connection: BackendConnection) => void,
    fail: (failure: { code: "connect"; message: string; unprocessed: boolean }) => void,
  ): void {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.free > 0 && !idle.closing) return use(idle);
    }
    connectPlain({ ...COMMON, address: this.#target }, (wire, error) => {
      if (wire === null) {
        return fail({ code: "connect", message: error!.message, unprocessed: true });
      }
      this.connections++;
      const events = {
        onReady: (connection: BackendConnection) => void this.#backends.add(connection),
        onChange: (connection: BackendConnection) => void this.#idle.push(connection),
        onGone: (connection: BackendConnection) => void this.#backends.delete(connection),
      };
      use(new Http1Backend({ wire, events, limits: LIMITS }));
    });
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const server of this.servers) server.destroy();
    for (const backend of this.#backends) backend.destroy();
  }
}
