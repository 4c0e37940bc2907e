// The API of the admin listener: each path with what it takes, what it answers and how; a file of api/ for each noun. Everything
// that it answers is made to fit its schema, which the compiler checks. Called by admin.ts.

import type { LogLevel } from "../../shared/plan.ts";
import { certificateOperations } from "./api/certificates.ts";
import { type ConfigurationControls, configurationOperations } from "./api/configuration.ts";
import { connectionOperations } from "./api/connections.ts";
import { listenerOperations } from "./api/listeners.ts";
import { logOperations } from "./api/log.ts";
import type { Operations } from "./api/operation.ts";
import { statusOperations } from "./api/status.ts";
import { streamOperations } from "./api/stream.ts";
import { targetOperations } from "./api/targets.ts";
import type { ApiSubject } from "./health.ts";
import type { SnapshotStream } from "./stream.ts";

/** What the API can have done. */
export interface Controls extends ConfigurationControls {
  readonly setLevel: (level: LogLevel) => void;
}

export function operationsOf(
  subject: ApiSubject,
  controls: Controls,
  stream: SnapshotStream,
): Operations {
  return {
    ...statusOperations(subject),
    ...listenerOperations(subject),
    ...targetOperations(subject),
    ...connectionOperations(subject),
    ...certificateOperations(subject),
    ...configurationOperations(subject, controls),
    ...logOperations(subject, controls.setLevel),
    ...streamOperations(stream),
  };
}
