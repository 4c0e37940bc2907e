// `proxy capture`: forwards one listener, and shows what passes, or writes it as a pcapng file for Wireshark. Its output may
// hold up what passes, but never breaks it: when nothing can be written any more, forwarding goes on without a capture.

import { randomInt } from "node:crypto";

import { defineCommand } from "citty";

import { dumpFormat } from "../capture/dump.ts";
import { cannotWrite, openOutput, type Output, refuseToReplace } from "../capture/output.ts";
import { pcapngFormat } from "../capture/pcapng-trace.ts";
import { CaptureRelay, openListener } from "../capture/relay.ts";
import { Sink } from "../capture/sink.ts";
import { clock, type Format } from "../capture/trace.ts";
import { logWorkerEvent } from "../control/events.ts";
import { createLog, type ProcessLog } from "../control/log.ts";
import { Refusals } from "../control/refusals.ts";
import { formatTargets } from "../shared/plan.ts";
import { CAPTURE_ARGS, type CaptureSettings, captureSettings } from "./capture-flags.ts";
import { STOP, type StopSignals, watchStopSignals } from "./stop.ts";
import { styleFor, wantsColours } from "./terminal.ts";
import { NAME_AND_VERSION } from "./version.ts";

/** How long the last bytes may take: a slow disk, not a reader that has stopped. */
const FLUSH_MS = 5_000;
const LOG_FLUSH_MS = 1_000;

const STANDARD_OUTPUT: Output = {
  fd: 1,
  regular: false,
  close: async () => {},
  discard: async () => {},
};

export const capture = defineCommand({
  meta: {
    name: "capture",
    description: "forward, and show what passes, or write it for Wireshark",
  },
  args: CAPTURE_ARGS,
  run: async ({ args }): Promise<number> => {
    const settings = captureSettings(args);
    const { write, force } = settings;
    const toFile = write !== null && write !== "-";
    if (toFile) refuseToReplace(write, force);
    const log = createLog({
      level: "info",
      format: "pretty",
      colours: wantsColours(process.stderr),
    });
    // First the listener: if it cannot be opened, no file has been touched. Nothing is accepted before there is a file.
    const listener = await openListener(settings.relay, log);
    let session: Session;
    try {
      const output = toFile ? await openOutput(write, force) : STANDARD_OUTPUT;
      session = new Session(settings, listener, output, log);
      await session.begin();
    } catch (error) {
      await listener.close();
      throw error;
    }
    return session.run();
  },
});

type Listener = Awaited<ReturnType<typeof openListener>>;

/** From the first byte of the output to the last. */
class Session {
  readonly #settings: CaptureSettings;
  readonly #listener: Listener;
  readonly #output: Output;
  readonly #log: ProcessLog;
  readonly #format: Format;
  readonly #sink: Sink;
  readonly #relay: CaptureRelay;
  readonly #refusals: Refusals;
  #failure: NodeJS.ErrnoException | null = null;
  #running = false;

  constructor(settings: CaptureSettings, listener: Listener, output: Output, log: ProcessLog) {
    this.#settings = settings;
    this.#listener = listener;
    this.#output = output;
    this.#log = log;
    const { relay, connections, write } = settings;
    this.#format = formatOf(settings, String(listener.addr));
    const { fd, regular } = output;
    this.#sink = new Sink({ fd, regular, onFailure: (error) => this.#failed(error) });
    this.#refusals = new Refusals((event) => logWorkerEvent(log, null, event));
    this.#relay = new CaptureRelay({
      listener,
      plan: relay,
      format: this.#format,
      sink: this.#sink,
      log,
      connections,
      onUnreachable: (detail) => {
        if (write === null) return; // it is shown among what passes
        const { key } = relay;
        this.#refusals.add({ type: "refused", key, reason: "target_down", count: 1, detail });
      },
    });
  }

  /** @throws ProxyError ERR_SYSTEM if nothing can be written at all. */
  async begin(): Promise<void> {
    void this.#sink.write(this.#format.head);
    await this.#sink.flushed();
    if (this.#failure === null) return;
    await this.#output.discard();
    throw cannotWrite(this.#name, this.#failure);
  }

  /** @returns the exit code. */
  async run(): Promise<number> {
    const signals = watchStopSignals([...STOP, "SIGHUP"]); // without its terminal it would never end
    const { write } = this.#settings;
    const where = write === null ? {} : { write };
    this.#running = true;
    const listen = String(this.#listener.addr);
    const target = formatTargets(this.#settings.relay);
    this.#log.info({ listen, target, ...where }, "capturing");
    const inOrder = await this.#forward(signals);
    const whole = await this.#sink.close(FLUSH_MS);
    this.#refusals.flush();
    const written = write === null ? {} : { write, bytes: this.#sink.bytesWritten };
    const fields = { connections: this.#relay.accepted, ...written };
    const broken = this.#failure !== null && this.#failure.code !== "EPIPE";
    if (!whole) this.#log.error(fields, "nobody takes the output, its end was not written");
    else this.#log.info(fields, this.#failure === null ? "capture complete" : "stopped");
    const logged = await this.#log.flush(LOG_FLUSH_MS);
    signals.release();
    const code = inOrder && whole && !broken ? 0 : 1;
    if (!whole || !logged) process.exit(code); // a write that nobody takes would keep the process
    await this.#output.close();
    return code;
  }

  /** Until the last connection is over. @returns false if a second signal cut connections off. */
  async #forward(signals: StopSignals): Promise<boolean> {
    const relay = this.#relay;
    const over = relay.run().then(() => "over" as const);
    const first = await Promise.race([over, signals.first]);
    if (first === "over") return true;
    const timeoutMs = this.#settings.plan.shutdownTimeoutMs;
    if (relay.open > 0) {
      const fields = { signal: first, connections: relay.open, timeoutMs };
      this.#log.info(fields, "waiting for open connections, a second signal resets them");
    }
    await relay.stop();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), timeoutMs);
    });
    const next = await Promise.race([over, late, signals.second]);
    clearTimeout(timer);
    if (next === "over") return true;
    this.#log.warn({ reset: relay.open }, "connections were reset");
    await relay.kill();
    this.#sink.unblock();
    await over;
    return next === "late";
  }

  get #name(): string {
    const { write } = this.#settings;
    return write === null || write === "-" ? "the standard output" : write;
  }

  /** Said once, since the sink gives up then. At the beginning it is an error instead. */
  #failed(error: NodeJS.ErrnoException): void {
    this.#failure = error;
    if (!this.#running) return;
    const { message } = cannotWrite(this.#name, error);
    this.#log.error({ reason: message }, "the capture has ended, forwarding goes on without it");
  }
}

function formatOf({ write, hex, maxBytes, relay }: CaptureSettings, listen: string): Format {
  if (write === null) return dumpFormat({ hex, maxBytes, paint: styleFor(process.stdout), clock });
  return pcapngFormat({
    application: NAME_AND_VERSION,
    listen,
    target: formatTargets(relay),
    clock,
    chance: () => randomInt(2 ** 32),
  });
}
