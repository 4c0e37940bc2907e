// Targets as they are, and what an operator wants of them: /api/targets. Called by api.ts.

import type { z } from "zod";

import { ADMIN } from "../../../shared/limits.ts";
import type { TargetSlot } from "../../../shared/messages.ts";
import { routesOfGroups } from "../../../shared/route-names.ts";
import type { TargetState } from "../../../shared/target-states.ts";
import type { Proxy } from "../../proxy.ts";
import type { Subject } from "../health.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations, refusal } from "./operation.ts";

export function targetOperations(subject: Subject): Operations {
  return {
    "/api/targets": {
      GET: operation(
        {
          summary: "Targets: every address, where it stands, and what it counted.",
          query: schemas.targetFilter,
          answers: schemas.targets,
        },
        ({ query: { listener } }) =>
          targetsOf(subject.proxy).filter((each) => (listener ?? each.listener) === each.listener),
      ),
      POST: operation(
        {
          summary: "Drains, disables or enables a target, or gives it another weight.",
          description:
            "Answered when every worker has obeyed: nothing new goes to a target that is draining or disabled from then on. " +
            "It holds over reloads that keep the target, and until the next restart or upgrade.",
          body: schemas.targetChange,
          answers: schemas.changedTarget,
        },
        ({ body }) => change(subject.proxy, body),
      ),
    },
  };
}

type Target = z.input<typeof schemas.target>;

export function targetsOf(proxy: Proxy | undefined): Target[] {
  if (proxy === undefined) return [];
  const { listeners } = proxy.stats();
  const listed = proxy.targets();
  return proxy.plan.listeners.flatMap((plan) => {
    const { key } = plan;
    const routes = routesOfGroups(plan);
    const hasRoutes = "routes" in plan && plan.routes.length > 0;
    const counted = new Map(
      (listeners[key]?.targets ?? []).map((each) => [`${each.name} ${each.route}`, each]),
    );
    return (listed.get(key) ?? []).map((target): Target => {
      const { slot, group, name, configured, weight, configuredWeight, backup, mode } = target;
      const stats = counted.get(`${name} ${routes[group]}`);
      const states = { up: 0, ejected: 0, half_open: 0, down: 0, ...stats?.states };
      return {
        listener: key,
        slot,
        route: hasRoutes ? routes[group]! : null,
        group: String(group),
        name,
        configured,
        weight,
        configuredWeight,
        backup,
        state: mode,
        health: worstOf(states, target),
        states,
        ejections: stats?.ejections ?? 0,
        connects: stats?.connects ?? 0,
        failures: stats?.failures ?? 0,
        active: stats?.active ?? 0,
        bytesUp: stats?.bytesUp ?? 0,
        bytesDown: stats?.bytesDown ?? 0,
      };
    });
  });
}

const WORST_FIRST: readonly TargetState[] = ["down", "ejected", "half_open", "up"];

function worstOf(states: Readonly<Record<TargetState, number>>, { up }: TargetSlot): TargetState {
  return WORST_FIRST.find((state) => states[state] > 0) ?? (up ? "up" : "down");
}

async function change(
  proxy: Proxy | undefined,
  { listener, target, state: mode, weight }: z.output<typeof schemas.targetChange>,
): Promise<z.input<typeof schemas.changedTarget>> {
  if (mode === undefined && weight === undefined) {
    return refusal(400, "say what is to be: state, weight, or both");
  }
  if (proxy?.wish(listener, target, { mode, weight }) !== true) {
    return refusal(404, `no such target. ${choices(proxy, listener)}`);
  }
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ADMIN.aliveMs);
  const obeyed = await Promise.race([proxy.answers(), late.promise]);
  clearTimeout(timer);
  if (!obeyed) return refusal(503, "it is to be so, but a worker does not answer");
  const meant = targetsOf(proxy).filter(
    (each) => each.listener === listener && (each.name === target || each.configured === target),
  );
  const [first] = meant;
  if (first === undefined) return refusal(404, "no address of it is known now; it is to be so");
  return { ...first, alike: meant.length };
}

/** What might have been meant. */
function choices(proxy: Proxy | undefined, listener: string): string {
  const targets = proxy?.targets() ?? new Map<string, never[]>();
  const own = targets.get(listener);
  const names = own === undefined ? [...targets.keys()] : own.map(({ name }) => name);
  const shown = [...new Set(names)].slice(0, ADMIN.choicesMax).join(", ");
  const more = names.length > ADMIN.choicesMax ? ", …" : "";
  return `${own === undefined ? "Listeners" : `Targets of ${listener}`}: ${shown}${more}`;
}
