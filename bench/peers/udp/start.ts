// Starts a relay of datagrams: nothing can be connected to see whether it listens, so it is asked until the backend answers
// through it. Called by the contestants beside this file.

import { createSocket } from "node:dgram";
import { join } from "node:path";

import { endChild, freePort, type Server, startServer } from "../../children.ts";
import { datagram, KIND_WORD, QUESTION, WORDS_MIN } from "../../load/datagrams.ts";
import { processTree } from "../../load/usage.ts";
import { type RelayCommand, type RunningPeer, START_MS } from "../peer.ts";

const ASK_AGAIN_MS = 20;

export async function startDatagramRelay(
  name: string,
  directory: string,
  relay: (listenPort: number) => RelayCommand,
): Promise<RunningPeer> {
  const port = await freePort();
  const { command, env } = relay(port);
  const server = startServer(command, join(directory, `${name}-${port}.log`), env);
  try {
    await untilAnswers(server, port);
  } catch (error) {
    await endChild(server.child);
    throw new Error(`${name} does not start`, { cause: error });
  }
  return {
    port,
    descriptorsPerConnection: 1,
    workers: 1,
    pids: () => processTree(server.child.pid),
    stop: () => endChild(server.child),
  };
}

async function untilAnswers({ child, logPath }: Server, port: number): Promise<void> {
  const socket = createSocket("udp4");
  const answered = Promise.withResolvers<void>();
  const words = datagram(WORDS_MIN * 4);
  words[KIND_WORD] = QUESTION;
  socket.on("message", () => answered.resolve());
  socket.on("error", () => {}); // nobody listens yet
  const asking = setInterval(() => {
    if (child.exitCode === null) socket.send(new Uint8Array(words.buffer), port, "127.0.0.1");
    else answered.reject(new Error(`ended with exit code ${child.exitCode}: see ${logPath}`));
  }, ASK_AGAIN_MS);
  const late = setTimeout(() => {
    answered.reject(new Error(`does not answer after ${START_MS} ms`));
  }, START_MS);
  try {
    await answered.promise;
  } finally {
    clearInterval(asking);
    clearTimeout(late);
    socket.close();
  }
}
