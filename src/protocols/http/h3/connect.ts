// A way to an HTTP/3 backend: a QUIC connection of our own, without early data, since what a client asked must not be what
// somebody else repeats (RFC 8470). Called by codecs.ts, once for each pool.

import type { SocketAddress } from "../../../shared/address.ts";
import type { HttpPlan } from "../../../shared/http-plan.ts";
import { H3 } from "../../../shared/limits.ts";
import type { QuicConnectOptions, QuicDriver } from "../../quic/transport.ts";
import type { ClientTls } from "../../wire/tls-context.ts";
import type { ConnectBackend } from "../backend/pool.ts";
import { Http3Backend } from "./client.ts";

const ALPN = ["h3"];

export function connectHttp3(
  driver: QuicDriver,
  { limits, timeouts, buffers }: HttpPlan,
  address: SocketAddress,
  tls: ClientTls,
): ConnectBackend {
  const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
  const fixed = {
    address,
    serverName: tls.verifiedName,
    alpn: ALPN,
    insecure: tls.insecure,
    transport: {
      idleMs: H3.backendIdleMs,
      keepAliveMs: H3.backendKeepAliveMs,
      handshakeMs: timeouts.connectMs,
      bidirectionalStreams: 0, // RFC 9114 section 6.1: none of a server is known
      unidirectionalStreams: H3.peerUnidirectionalStreams,
      streamWindow: H3.streamWindowBytes,
      connectionWindow: H3.backendWindowBytes,
      datagrams: false,
    },
    watermarks: { highBytes, lowBytes },
    earlyData: false,
    keyLog: null,
  };
  return (events, done) => {
    const options: QuicConnectOptions = { ...fixed, certificates: tls.certificates };
    return driver.connect(options, (quic, error) => {
      if (quic === null) done(null, error);
      else done(new Http3Backend({ quic, events, limits }), null);
    });
  };
}
