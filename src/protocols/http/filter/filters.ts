// Which filters stand between the clients and the exchanges of a route. Called once for each route, when routes are compiled.

import type { HttpRoutePlan } from "../../../shared/http-plan.ts";
import type { Filter } from "../passage.ts";
import { CompressFilter } from "./compress/filter.ts";
import { GrpcWebFilter } from "./grpc-web/filter.ts";
import { WebSocketFilter } from "./websocket.ts";

/** Outermost first. Answers of gRPC-Web are not of a type that is compressed. */
export function filtersOf(plan: HttpRoutePlan): readonly Filter[] {
  if (plan.group === null) return [];
  const filters: Filter[] = [new WebSocketFilter()];
  if (plan.compress) filters.push(new CompressFilter());
  if (plan.grpcWeb) filters.push(new GrpcWebFilter(plan.grpcWebOrigins));
  return filters;
}
