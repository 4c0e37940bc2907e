// The API of the admin listener: each path with what it takes, what it answers and how; a file of api/ for each noun. Everything
// that it answers is made to fit its schema, which the compiler checks. Called by admin.ts.

import type { LogLevel } from "../../shared/plan.ts";
import type { ReloadOutcome } from "../reload-outcome.ts";
import { certificateOperations } from "./api/certificates.ts";
import { configurationOperations } from "./api/configuration.ts";
import { connectionOperations } from "./api/connections.ts";
import { listenerOperations } from "./api/listeners.ts";
import { logOperations } from "./api/log.ts";
import type { Operations } from "./api/operation.ts";
import { statusOperations } from "./api/status.ts";
import { targetOperations } from "./api/targets.ts";
import type { Subject } from "./health.ts";

/** What the API can have done. */
export interface Controls {
  readonly reload: () => Promise<ReloadOutcome>;
  readonly setLevel: (level: LogLevel) => void;
}

export function operationsOf(subject: Subject, controls: Controls): Operations {
  return {
    ...statusOperations(subject),
    ...listenerOperations(subject),
    ...targetOperations(subject),
    ...connectionOperations(subject),
    ...certificateOperations(subject),
    ...configurationOperations(controls.reload),
    ...logOperations(controls.setLevel),
  };
}
