// A plan whose values may all be shown: those of fields that are set, or asked for, are left out, since credentials stand in
// them (Authorization, API keys, cookies). Keys of certificates and tokens are in no plan. Pure. Called by the API.

import { type HttpRoutePlan, isHttpPlan } from "../../shared/http-plan.ts";
import type { ListenerPlan, Plan } from "../../shared/plan.ts";

const MASK = "[secret]";

export function planWithoutSecrets(plan: Plan): Plan {
  return { ...plan, listeners: plan.listeners.map(listenerWithout) };
}

function listenerWithout(plan: ListenerPlan): ListenerPlan {
  return isHttpPlan(plan) ? { ...plan, routes: plan.routes.map(routeWithout) } : plan;
}

function routeWithout(route: HttpRoutePlan): HttpRoutePlan {
  const { match, request, response } = route;
  const headers = match.headers.map(({ name, value }) => ({ name, value: value && MASK }));
  return {
    ...route,
    match: { ...match, headers },
    request: editWithout(request),
    response: editWithout(response),
  };
}

function editWithout(edit: HttpRoutePlan["request"]): HttpRoutePlan["request"] {
  const masked = (fields: typeof edit.set) => fields.map((field) => ({ ...field, value: MASK }));
  return { ...edit, set: masked(edit.set), add: masked(edit.add) };
}
