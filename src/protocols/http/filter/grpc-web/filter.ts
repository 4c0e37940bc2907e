// gRPC-Web to gRPC (PROTOCOL-WEB.md of the gRPC project): the filter of routes with `grpc_web`. A request that is not of gRPC-Web
// passes untouched, so one route serves clients of both. Made by filters.ts, called by the relay.

import type { ClientStream } from "../../exchange.ts";
import { type RequestHead, UNKNOWN_LENGTH } from "../../message/heads.ts";
import { idOf } from "../../message/names.ts";
import type { Filter, OwnAnswer } from "../../passage.ts";
import { grpcTypeOf, webTypeOf } from "./content-types.ts";
import { Cors } from "./cors.ts";
import { GrpcWebStream } from "./stream.ts";

const CONTENT_TYPE = idOf("content-type");
const ACCEPT = idOf("accept");
const X_GRPC_WEB = idOf("x-grpc-web");

export class GrpcWebFilter implements Filter {
  readonly #cors: Cors;

  /** @param origins as HttpRoutePlan.grpcWebOrigins. */
  constructor(origins: readonly string[]) {
    this.#cors = new Cors(origins);
  }

  answer(head: RequestHead): OwnAnswer | null {
    return this.#cors.preflight(head);
  }

  wrap(stream: ClientStream, head: RequestHead): ClientStream {
    if (head.method !== "POST") return stream;
    const { fields } = head;
    const type = webTypeOf(fields.get("content-type"), fields.get("accept"));
    if (type === null) return stream;
    // What says how the client speaks is not true of what the backend is sent. X-User-Agent is: it names the client's library.
    fields.removeAll(CONTENT_TYPE);
    fields.removeAll(ACCEPT);
    fields.removeAll(X_GRPC_WEB);
    fields.add("content-type", grpcTypeOf(type));
    head.takesTrailers = true;
    if (type.text && head.contentLength > 0) head.contentLength = UNKNOWN_LENGTH;
    return new GrpcWebStream(stream, type, this.#cors, fields.get("origin"));
  }
}
