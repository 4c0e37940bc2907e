// The versions of HTTP: the one place that knows every codec. Called by compose.ts.

import type { SocketAddress } from "../../shared/address.ts";
import type { HttpPlan } from "../../shared/http-plan.ts";
import type { QuicDriver } from "../quic/transport.ts";
import type { ClientTls } from "../wire/tls-context.ts";
import type { ConnectBackend } from "./backend/pool.ts";
import type { BackendConnection, BackendSetup, ServerConnection, ServerSetup } from "./exchange.ts";
import { Http1Backend } from "./h1/backend.ts";
import { Http1Server } from "./h1/server.ts";
import { Http2Backend } from "./h2/client.ts";
import { Http2Server } from "./h2/server.ts";
import { connectHttp3 } from "./h3/connect.ts";
import { Http3Server, type Http3ServerSetup } from "./h3/server.ts";

export interface Codecs {
  server(isH2: boolean, setup: ServerSetup): ServerConnection;
  client(isH2: boolean, setup: BackendSetup): BackendConnection;
  serverHttp3(setup: Http3ServerSetup): ServerConnection;
  /** HTTP/3 has no wire below it: it connects by itself. */
  connectHttp3(
    driver: QuicDriver,
    plan: HttpPlan,
    address: SocketAddress,
    tls: ClientTls,
  ): ConnectBackend;
}

export const CODECS: Codecs = {
  server: (isH2, setup) => (isH2 ? new Http2Server(setup) : new Http1Server(setup)),
  client: (isH2, setup) => (isH2 ? new Http2Backend(setup) : new Http1Backend(setup)),
  serverHttp3: (setup) => new Http3Server(setup),
  connectHttp3,
};
