// How a target is reached: in clear or over TLS, by TCP or a unix socket. Called by backends.ts, once for each pool.

import type { SocketAddress } from "../../../shared/address.ts";
import type { HttpPlan, HttpTargetPlan } from "../../../shared/http-plan.ts";
import type { Connected, Connecting, SetSocketOptions } from "../../wire/open.ts";
import { connectPlain } from "../../wire/plain.ts";
import type {
  BackendConnection,
  BackendSetup,
  ServerConnection,
  ServerSetup,
} from "../exchange.ts";

/** The versions of HTTP, as the gateway makes them. */
export interface Codecs {
  server(isH2: boolean, setup: ServerSetup): ServerConnection;
  client(isH2: boolean, setup: BackendSetup): BackendConnection;
}

export function connector(
  { socket, buffers }: HttpPlan,
  _target: HttpTargetPlan,
  address: SocketAddress,
  setOptions: SetSocketOptions,
): (done: Connected) => Connecting {
  const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
  const options = { address, socket, setOptions, watermarks: { highBytes, lowBytes } };
  return (done) => connectPlain(options, done);
}
