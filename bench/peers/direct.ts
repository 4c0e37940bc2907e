// No relay at all: what the client and the backend can do, the bound of every other figure.

import type { Peer } from "./peer.ts";

export const direct: Peer = {
  name: "direct",
  setup: "no relay",
  available: async () => ({ version: "" }),
  start: async (_targetPort, _directory, { port, h2cPort, tlsPort }) => ({
    port,
    ...(h2cPort !== undefined && { h2cPort }),
    ...(tlsPort !== undefined && { tlsPort }),
    descriptorsPerConnection: 0,
    workers: 0,
    pids: () => [],
    stop: async () => {},
  }),
};
