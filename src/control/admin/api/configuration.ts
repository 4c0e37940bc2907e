// The configuration, and reloads of it. Called by api.ts.

import type { z } from "zod";

import type { PlanDiff } from "../../diff.ts";
import type { ReloadOutcome } from "../../reload-outcome.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations, refusal } from "./operation.ts";

export function configurationOperations(reload: () => Promise<ReloadOutcome>): Operations {
  return {
    "/api/reload": {
      POST: operation(
        {
          summary: "Reads the configuration again, and tells what was different.",
          answers: schemas.reloaded,
        },
        async () => {
          const outcome = await reload();
          return "error" in outcome ? refusal(422, outcome.error) : changesOf(outcome.diff);
        },
      ),
    },
  };
}

export function changesOf(diff: PlanDiff): z.input<typeof schemas.reloaded> {
  return {
    added: diff.added.map(({ key }) => key),
    removed: diff.removed.map(({ key }) => key),
    changed: diff.changed.map(({ after, parts }) => ({ listener: after.key, parts: [...parts] })),
    unchanged: diff.unchanged.length,
    settings: [...diff.settings],
    deferred: [...diff.deferred],
  };
}
