// The handler of a connection that has no owner yet, or none any more. Called by connection.ts.

import type { QuicConnectionHandler } from "../transport.ts";

const ignore = (): void => {};

export const SILENT_CONNECTION: QuicConnectionHandler = {
  onStream: (stream) => stream.reset(),
  onDatagram: ignore,
  onStreamsAvailable: ignore,
  onClose: ignore,
};
