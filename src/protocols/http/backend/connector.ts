// How a target is reached: in clear or over TLS, by TCP or a unix socket, or by QUIC. Called by backends.ts, once for each pool.

import type { SocketAddress } from "../../../shared/address.ts";
import type { HttpPlan } from "../../../shared/http-plan.ts";
import type { Connected, Connecting, SetSocketOptions } from "../../wire/open.ts";
import { connectPlain } from "../../wire/plain.ts";
import type { ClientTls } from "../../wire/tls-context.ts";
import { TlsError } from "../../wire/tls-error.ts";
import { connectTls } from "../../wire/tls.ts";
import type { Wire } from "../../wire/wire.ts";
import type { BackendConnection, BackendEvents } from "../exchange.ts";
import type { ConnectBackend } from "./pool.ts";

const H2 = "h2";

export type Connect = (done: Connected) => Connecting;

/** The last descriptors are kept for everything else: what would take one of them is closed, as if there were none. */
export function within(hasRoom: (fd: number) => boolean, connect: Connect): Connect {
  return (done) =>
    connect((wire, error) => {
      if (wire === null || hasRoom(wire.fd)) return done(wire, error);
      wire.reset();
      done(null, Object.assign(new Error("too many descriptors"), { code: "EMFILE" }));
    });
}

/** @param open the codec's client on a wire. */
export function overWire(
  connect: Connect,
  open: (wire: Wire, events: BackendEvents) => BackendConnection,
): ConnectBackend {
  return (events, done) =>
    connect((wire, error) => (wire === null ? done(null, error) : done(open(wire, events), null)));
}

/**
 * @param tls null: in clear.
 * @param multiplexed HTTP/2: over TLS it must be agreed upon.
 */
export function connector(
  { socket, buffers }: HttpPlan,
  address: SocketAddress,
  tls: ClientTls | null,
  multiplexed: boolean,
  setOptions: SetSocketOptions,
): Connect {
  const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
  const options = { address, socket, setOptions, watermarks: { highBytes, lowBytes } };
  if (tls === null) return (done) => connectPlain(options, done);
  const alpn = [multiplexed ? H2 : "http/1.1"];
  // The end of an answer of HTTP/1.1 may be that of its connection.
  const tellTruncation = !multiplexed;
  return (done) =>
    connectTls({ ...options, tls, alpn, tellTruncation }, (wire, error) => {
      if (wire === null || !multiplexed || wire.tls?.alpn === H2) return done(wire, error);
      wire.reset();
      done(null, new TlsError("ERR_SSL_NO_APPLICATION_PROTOCOL", "it does not agree upon h2"));
    });
}
