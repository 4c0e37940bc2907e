// The versions of HTTP: the one place that knows every codec. Called by compose.ts.

import type { BackendConnection, BackendSetup, ServerConnection, ServerSetup } from "./exchange.ts";
import { Http1Backend } from "./h1/backend.ts";
import { Http1Server } from "./h1/server.ts";
import { Http2Backend } from "./h2/client.ts";
import { Http2Server } from "./h2/server.ts";

export interface Codecs {
  server(isH2: boolean, setup: ServerSetup): ServerConnection;
  client(isH2: boolean, setup: BackendSetup): BackendConnection;
}

export const CODECS: Codecs = {
  server: (isH2, setup) => (isH2 ? new Http2Server(setup) : new Http1Server(setup)),
  client: (isH2, setup) => (isH2 ? new Http2Backend(setup) : new Http1Backend(setup)),
};
