// How the listeners are opened that are there for a challenge alone: on every address of the machine, in the control plane's own
// thread. They answer authorities and nobody else, for some seconds. Called by the solvers.

import type { Socket } from "node:net";
import { createSecureContext, createServer, type SecureContext, type Server } from "node:tls";

import { ACME_TLS_1, type ChallengeAnswer } from "../../shared/challenges.ts";
import { errnoOf } from "../../shared/errors.ts";
import { CHALLENGES } from "../../shared/limits.ts";
import type { PendingAnswers } from "./pending-answers.ts";
import type { TemporaryListener } from "./presenter.ts";

/** Of both families; a machine without IPv6 has one. */
export function onEveryAddress<T>(open: (hostname: string) => T): T {
  try {
    return open("::");
  } catch (error) {
    if (!isWithoutIPv6(error)) throw error;
    return open("0.0.0.0");
  }
}

function isWithoutIPv6(error: unknown): boolean {
  return ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errnoOf(error));
}

/** @throws Error with an errno. */
export async function openTls(port: number, answers: PendingAnswers): Promise<TemporaryListener> {
  const server = createServer({
    handshakeTimeout: CHALLENGES.handshakeMs,
    minVersion: "TLSv1.2",
    SNICallback: (name, done) => {
      const context = contextFor(name.toLowerCase(), answers);
      if (context === null) done(new Error(`no challenge is pending for ${name}`));
      else done(null, context);
    },
    ALPNCallback: ({ protocols }) => (protocols.join() === ACME_TLS_1 ? ACME_TLS_1 : undefined),
  });
  server.maxConnections = CHALLENGES.connectionsMax;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // RFC 8737 section 3: nothing follows the handshake.
  server.on("secureConnection", (socket) => socket.destroy());
  server.on("tlsClientError", (_error, socket) => void socket.destroy());
  await listen(server, port);
  return {
    close: () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of sockets) socket.destroy();
      return closed.promise;
    },
  };
}

/** Made once for each answer, whoever asks how often. */
const contexts = new WeakMap<ChallengeAnswer, SecureContext>();

function contextFor(name: string, answers: PendingAnswers): SecureContext | null {
  for (const answer of answers.all) {
    if (answer.type !== "tls-alpn-01" || answer.serverName !== name) continue;
    const { chain: cert, key } = answer;
    const context = contexts.get(answer) ?? createSecureContext({ cert, key: Buffer.from(key) });
    contexts.set(answer, context);
    return context;
  }
  return null;
}

async function listen(server: Server, port: number): Promise<void> {
  try {
    await listenOn(server, port, "::");
  } catch (error) {
    if (!isWithoutIPv6(error)) throw error;
    await listenOn(server, port, "0.0.0.0");
  }
}

function listenOn(server: Server, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port, host, ipv6Only: false }, () => {
    server.off("error", reject);
    resolve();
  });
  return promise;
}
