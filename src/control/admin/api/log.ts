// The log: how much is told. Called by api.ts.

import type { LogLevel } from "../../../shared/plan.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations } from "./operation.ts";

export function logOperations(setLevel: (level: LogLevel) => void): Operations {
  return {
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
