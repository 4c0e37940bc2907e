// The log: its last warnings and errors, and how much is told. Called by api.ts.

import type { LogLevel } from "../../../shared/plan.ts";
import type { ApiSubject } from "../health.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations } from "./operation.ts";

export function logOperations(
  subject: ApiSubject,
  setLevel: (level: LogLevel) => void,
): Operations {
  return {
    "/api/events": {
      GET: operation(
        {
          summary: "The last warnings and errors of the log.",
          description:
            "Whatever the log's level is. Lines that come often are summed up, as they are in the log.",
          query: schemas.eventFilter,
          answers: schemas.events,
        },
        ({ query: { limit } }) => ({ events: subject.events.newest(limit) }),
      ),
    },
    "/api/log-level": {
      POST: operation(
        { summary: "Until the next reload.", body: schemas.logLevel, answers: schemas.logLevel },
        ({ body }) => {
          setLevel(body.level);
          return body;
        },
      ),
    },
  };
}
