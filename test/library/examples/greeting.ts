// An example: a protocol that begins each connection to the target with one line that names the client, so that a backend
// behind the tunnel knows who is there. Only that line is its own; the bytes after it are relayed in the kernel on Linux.
import {
  type Conn,
  dial,
  type Forwarder,
  type ForwardOptions,
  listen,
  newForwarder,
  type Protocol,
} from "bun-tunnel";

export function greeting(): Protocol {
  return {
    name: "greeting",
    listen,
    dial,
    forwarder(options: ForwardOptions): Forwarder {
      const plain = newForwarder(options);
      return {
        async forward(client: Conn, target: Conn) {
          await target.write(`CLIENT ${client.remoteAddr}\n`);
          return plain.forward(client, target);
        },
        handlePair(client: Conn, target: Conn) {
          target.write(`CLIENT ${client.remoteAddr}\n`).then(
            () => plain.handlePair(client, target),
            () => client.reset(),
          );
        },
      };
    },
  };
}
