// Certificates, and when they end: GET /api/certificates. Called by api.ts.

import type { z } from "zod";

import type { Subject } from "../health.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations } from "./operation.ts";

export function certificateOperations(subject: Subject): Operations {
  return {
    "/api/certificates": {
      GET: operation(
        { summary: "Certificates, and when they end.", answers: schemas.certificates },
        () => certificatesOf(subject),
      ),
    },
  };
}

export function certificatesOf({ proxy }: Subject): z.input<typeof schemas.certificates> {
  return {
    managed: (proxy?.certificates() ?? []).map((each) => ({
      names: [...each.names],
      state: each.state,
      authority: each.authority,
      notAfterMs: each.notAfterMs,
      daysLeft: each.daysLeft,
      nextAttemptMs: each.nextAttemptMs,
      failures: each.failures,
      lastFailure: each.lastFailure?.reason ?? null,
    })),
    files: (proxy?.certificateFiles() ?? []).map((each) => ({ ...each, names: [...each.names] })),
  };
}
