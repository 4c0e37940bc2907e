// The configuration as it is served, and reloads of it. Called by api.ts.

import { ADMIN } from "../../../shared/limits.ts";
import type { Plan } from "../../../shared/plan.ts";
import { maskUrls } from "../../../shared/secret.ts";
import { changesOf } from "../../reload-log.ts";
import type { ReloadOutcome } from "../../reload-outcome.ts";
import type { ApiSubject } from "../health.ts";
import { planWithoutSecrets } from "../plan-without-secrets.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations, refusal } from "./operation.ts";

/** What it needs of whoever read the configuration. */
export interface ConfigurationControls {
  readonly reload: () => Promise<ReloadOutcome>;
  /** A plan as people read it. */
  readonly describe: (plan: Plan) => string;
  /** null: there are only flags. */
  readonly file: string | null;
}

export function configurationOperations(
  subject: ApiSubject,
  { reload, describe, file }: ConfigurationControls,
): Operations {
  return {
    "/api/config": {
      GET: operation(
        { summary: "The configuration that is served.", answers: schemas.config },
        () => ({
          path: file,
          text:
            subject.proxy === undefined
              ? ""
              : maskUrls(describe(planWithoutSecrets(subject.proxy.plan))),
          loadedMs: subject.reloads.lastTakenMs,
          refusal: subject.refusal,
        }),
      ),
    },
    "/api/reload": {
      POST: operation(
        {
          summary: "Reads the configuration again, and tells what was different.",
          answers: schemas.reloaded,
        },
        async () => {
          const outcome = await reload();
          return "error" in outcome
            ? refusal(422, maskUrls(outcome.error))
            : changesOf(outcome.diff);
        },
      ),
    },
    "/api/reloads": {
      GET: operation(
        { summary: "What became of the last reloads.", answers: schemas.reloads },
        () => subject.history.newest(ADMIN.reloadsMax),
      ),
    },
  };
}
