// Routes whose clients find nobody: health holds every target for down, or an operator took it out. The proxy is ready all the
// same, since what it is in front of is not its own, and others in front of the same targets would do no better; so it is a
// warning. Pure. Called for /readyz and /api/status.

import type { z } from "zod";

import type { target } from "./schemas.ts";

type Target = z.input<typeof target>;

/** A warning is one line. */
const NAMES_MAX = 5;

/** @returns one line for each listener and route without a target that a client of any worker is sent to. */
export function leftOut(targets: readonly Target[]): string[] {
  const byPlace = Map.groupBy(targets, ({ listener, route }) =>
    route === null ? listener : `${listener}, route ${route}`,
  );
  return [...byPlace]
    .filter(([, group]) => !group.some(serves))
    .map(([place, group]) => {
      const told = group.slice(0, NAMES_MAX).map(({ name, state, health }) => {
        return `${name} is ${state === "enabled" ? health : state}`;
      });
      const more = group.length > NAMES_MAX ? `, and ${group.length - NAMES_MAX} more` : "";
      return `no target of ${place} serves: ${told.join(", ")}${more}`;
    });
}

/** Where no worker has told anything yet, nothing is known against it. */
function serves({ state, states }: Target): boolean {
  const { up, half_open: halfOpen, ejected, down } = states;
  return state === "enabled" && (up + halfOpen > 0 || ejected + down === 0);
}
