// Traffic of `proxy demo -traffic`, so that there is something to see: a few clients inside this process that ask the demo's own
// listeners for pages, a file and an echo, with pauses; some 50 requests a second. Called by commands/demo.ts.

import { connect, type Socket } from "node:net";

import { pause } from "./backoff.ts";

export interface DemoAddresses {
  /** Of the listener over TLS: https://localhost:8443. */
  readonly secure: string;
  /** The authority of its certificate, PEM. */
  readonly root: string;
  /** http://127.0.0.1:8080. */
  readonly plain: string;
  readonly echo: { readonly host: string; readonly port: number };
}

const READERS = 6;
const TALKERS = 3;
const MESSAGE = Buffer.alloc(2_000, "what is sent comes back. ");

export function startDemoTraffic({ secure, root, plain, echo }: DemoAddresses): Disposable {
  const closing = new AbortController();
  const { signal } = closing;
  const sockets: Socket[] = [];
  const tls = { ca: root };
  for (let i = 0; i < READERS; i++) {
    void repeat(signal, 60, async () => {
      await read(await fetch(`${secure}${randomPath()}`, { tls, signal }));
    });
  }
  void repeat(signal, 1_500, async () => {
    await read(await fetch(`${plain}/bytes?n=4MB`, { signal }));
  });
  for (let i = 0; i < TALKERS; i++) {
    const socket = connect({ host: echo.host, port: echo.port });
    socket.on("error", () => socket.destroy()); // the demo is over, or somebody closed it on the dashboard
    socket.resume();
    sockets.push(socket);
    void repeat(signal, 120, () => {
      if (!socket.destroyed) socket.write(MESSAGE);
      return Promise.resolve();
    });
  }
  return {
    [Symbol.dispose]() {
      closing.abort();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Mostly small ones, now and then one that is not there. */
function randomPath(): string {
  const chance = Math.random();
  if (chance < 0.03) return "/not-there";
  return chance < 0.7 ? "/headers" : `/bytes?n=${Math.ceil(chance * 200)}kB`;
}

/** @param pauseMs between two, on average. */
async function repeat(
  signal: AbortSignal,
  pauseMs: number,
  act: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await act();
    } catch {
      // the demo is over, or somebody closed the connection on the dashboard: the next one is made anew
    }
    await pause(pauseMs * (0.5 + Math.random()), signal);
  }
}

async function read(answer: Response): Promise<void> {
  if (answer.body === null) return;
  for await (const part of answer.body) void part;
}
