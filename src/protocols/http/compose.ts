// A listener of HTTP and all that it is made of: routes, filters, answers, codecs. Called by src/gateway.ts.

import type { HttpPlan } from "../../shared/http-plan.ts";
import type { OpenRequest } from "../../shared/messages.ts";
import type { GatewayHost } from "../host.ts";
import { pickHttp3Driver } from "../quic/pick.ts";
import { BatchedAccessLog } from "./access/access-log.ts";
import { createErrorAnswer } from "./answers.ts";
import { CODECS } from "./codecs.ts";
import { filtersOf } from "./filter/filters.ts";
import { HttpListener } from "./listener.ts";
import { createRouter } from "./route/guide.ts";
import { RequestIds } from "./route/request-id.ts";

/** Of a request id: what tells this worker's from those of others. */
const ID_RANDOM_BYTES = 18;

/** @throws ProxyError ERR_CONFIG for routes that cannot be compiled. */
export function createHttpListener(
  host: GatewayHost,
  request: OpenRequest<HttpPlan>,
): HttpListener {
  const unixMs = Date.now;
  const ids = new RequestIds(crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES)));
  const { routes, h3 } = request.listener;
  const altSvcSeconds = h3?.altSvcSeconds ?? 0;
  return new HttpListener(host, request, {
    codecs: CODECS,
    quicDriver: () => pickHttp3Driver(host),
    router: createRouter({
      routes,
      filtersFor: filtersOf,
      ids,
      unixMs,
      altSvcSeconds,
      challenges: host.challenges,
    }),
    errorAnswer: createErrorAnswer(unixMs),
    accessLog: accessLogOf(host, request.listener),
  });
}

function accessLogOf({ emit }: GatewayHost, { key, accessLog }: HttpPlan): BatchedAccessLog | null {
  if (accessLog === null) return null;
  return new BatchedAccessLog(accessLog.format, (bytes, lines) =>
    emit({ type: "access_log", key, bytes, lines }),
  );
}
