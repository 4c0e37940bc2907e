// Handlers of QUIC connections that expect nothing of their peer.

import type { QuicConnectionHandler } from "../../../src/protocols/quic/transport.ts";

export const SILENT_CONNECTION: QuicConnectionHandler = {
  onStream: (stream) => stream.reset(),
  onDatagram: () => {},
  onStreamsAvailable: () => {},
  onClose: () => {},
};
