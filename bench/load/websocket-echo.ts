// The WebSocket backend behind every gateway: prints its port as one JSON line, then sends back every message. Bun's own server,
// whose protocol is native code, so that it is not what the rate ends at. Started by backends.ts.

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, own) {
    if (own.upgrade(request)) return undefined;
    return new Response("a WebSocket is expected\n", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    message(socket, message) {
      socket.send(message);
    },
  },
});

console.log(JSON.stringify({ port: server.port }));
