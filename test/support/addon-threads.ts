// A process of several threads that all use the native addon of QUIC and collect garbage, as workers with QUIC do. Prints
// what is loaded in the end. Started by test/ffi/addon-image.test.ts: a fault in native code ends the process.

import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { loadBinding } from "../../src/protocols/quic/quiche/binding.ts";
import { ProxyError } from "../../src/shared/errors.ts";

export interface Loaded {
  /** Shared objects that have the addon's code. */
  readonly images: number;
  /** Names of all threads of the process. */
  readonly threads: readonly string[];
}

const ROUNDS = 40;
const HERE = { host: "127.0.0.1", port: 1_000 };
const THERE = { host: "127.0.0.1", port: 1_001 };

/** Connections that only say hello, and whose every call is given bytes: what the addon keeps references to. */
async function use(): Promise<void> {
  const binding = loadBinding();
  if (binding instanceof ProxyError) throw binding;
  for (let round = 0; round < ROUNDS; round++) {
    for (let connection = 0; connection < 25; connection++) {
      const config = binding.Config.withBoringSslCtx(false, true, null, null, null, null);
      config.setApplicationProtos(["h3"]);
      const id = new Uint8Array(16);
      binding.Connection.connect("example.test", id, HERE, THERE, config).send(
        new Uint8Array(1_500),
      );
    }
    Bun.gc(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function names(): string[] {
  return readdirSync("/proc/self/task").flatMap((id) => {
    try {
      return [readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim()];
    } catch {
      return []; // it ended just now
    }
  });
}

if (isMainThread) {
  const threads = Array.from(
    { length: Number(process.argv[2]) },
    () => new Worker(import.meta.path, { workerData: "thread" }),
  );
  await Promise.all(threads.map((thread) => once(thread, "message")));
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  const code = maps.filter(
    (line) => line.includes(" r-xp ") && /memfd:addon|addon\.node/.test(line),
  );
  const loaded: Loaded = { images: code.length, threads: names() };
  process.stdout.write(JSON.stringify(loaded));
  process.exit(0);
} else if (workerData === "thread") {
  await use();
  parentPort!.postMessage("done");
}
