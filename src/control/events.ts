// What workers report, as log lines: one for each event that matters. Refusals arrive already counted together, at most one
// a second for each listener and reason, so no client can flood the log.

import type { Log } from "../shared/log.ts";
import type { Refusal, WorkerEvent } from "../shared/messages.ts";
import type { Voice } from "./chorus.ts";

/** Refusals that say something of a target rather than of a client. */
const TARGET_REASONS: readonly Refusal[] = ["target_down", "connect_timeout", "quic_target"];

/** @param voice whose event it is; null: of all workers. */
export function logWorkerEvent(log: Log, voice: Voice | null, event: WorkerEvent): void {
  switch (event.type) {
    case "warning":
      log.warn({ listener: event.key }, event.message);
      break;
    case "refused": {
      const { key: listener, reason, count, detail } = event;
      const targetDown = TARGET_REASONS.includes(reason);
      const fields = { listener, reason, count, ...(detail === "" ? {} : { detail }) };
      log.warn(fields, targetDown ? "target down" : "refused");
      break;
    }
    case "target": {
      const { key: listener, target, from, to, forMs } = event;
      const fields = { ...voice, listener, target, from, ...(forMs > 0 ? { forMs } : {}) };
      if (to === "up") log.info(fields, "target is up");
      else log.warn(fields, `target is ${to === "half_open" ? "tried again" : to}`);
      break;
    }
    case "last_resort":
      log.warn(
        { ...voice, listener: event.key },
        "every target is held for down: clients are sent to them all the same",
      );
      break;
    case "accept_paused": {
      const { key: listener, errno, pauseMs } = event;
      log.warn(
        { listener, errno, pauseMs },
        "out of descriptors, accepting pauses: raise the limit (ulimit -n, or LimitNOFILE of the service)",
      );
      break;
    }
    case "connection": {
      const { key: listener, id, client, target, durationMs, bytesUp, bytesDown, reason } = event;
      const names = { ...voice, id, listener, client, target };
      if (event.phase === "open") log.debug(names, "connection opened");
      else log.debug({ ...names, durationMs, bytesUp, bytesDown, reason }, "connection closed");
      break;
    }
    default:
      // Answers to commands are not for the log; the proxy takes them.
      break;
  }
}
