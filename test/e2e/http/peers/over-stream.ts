// A WebSocket of `ws` over a stream of HTTP/2 (RFC 8441), which `ws` itself does not open: its own frames and state, without its
// handshake. `setSocket` is what `ws` calls on an upgraded socket.

import type { Duplex } from "node:stream";

import { WebSocket } from "ws";

interface Inside {
  _isServer: boolean;
  setSocket(stream: Duplex, head: Buffer, options: object): void;
}

export function overStream(stream: Duplex, isServer: boolean): WebSocket {
  // Without an address it is one that somebody else has opened.
  const socket = Reflect.construct(WebSocket, [
    null,
    undefined,
    { autoPong: true, closeTimeout: 30_000 },
  ]) as WebSocket;
  const inside = socket as unknown as Inside;
  inside._isServer = isServer;
  inside.setSocket(stream, Buffer.alloc(0), {
    allowSynchronousEvents: true,
    maxPayload: 64 * 1024 * 1024,
    skipUTF8Validation: false,
  });
  return socket;
}
