// Everything at once, once a second: GET /api/stream. Called by api.ts.

import * as schemas from "../schemas.ts";
import { EVENT_STREAM, type SnapshotStream } from "../stream.ts";
import type { Operations } from "./operation.ts";

export function streamOperations(stream: SnapshotStream): Operations {
  return {
    "/api/stream": {
      GET: {
        summary: "Everything at once, once a second.",
        description:
          "Server-sent events named snapshot, whose data is this as JSON. The token goes into the Authorization field, as " +
          "everywhere: EventSource cannot show one, fetch can. It ends when the proxy does, and when it hands over to another.",
        answers: schemas.snapshot,
        type: EVENT_STREAM,
        run: () => stream.answer(),
      },
    },
  };
}
