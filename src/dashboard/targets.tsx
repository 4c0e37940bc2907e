// Targets and their health, and what can be done with each: drained, disabled, enabled, given another weight. Called by
// page.tsx.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { TargetState } from "../control/admin/schemas.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { bits, count, perSecond, several } from "./format.ts";
import { type Shape, State } from "./mark.tsx";
import { type Rates, targetKey } from "./rates.ts";
import { ask } from "./requests.ts";
import { Section } from "./section.tsx";
import { Table, type TableColumn } from "./table.tsx";

type Mode = TargetState["state"];

const HEALTH: Readonly<Record<TargetState["health"], Shape>> = {
  up: "good",
  half_open: "half",
  ejected: "warn",
  down: "bad",
};

const MODES: readonly (readonly [Mode, string])[] = [
  ["enabled", "gets connections and requests by its weight"],
  ["draining", "gets nothing new; what is under way goes on"],
  ["disabled", "gets nothing new; what is under way is cut"],
];

export function Targets(): JSX.Element {
  const { snapshot, listener, rates } = useStore();
  const [changed, setChanged] = useState<TargetState | null>(null);
  const targets = (snapshot?.targets ?? []).filter(
    (each) => listener === null || each.listener === listener,
  );
  return (
    <Section id="targets" title="Targets" note={count(targets.length)}>
      <Table
        label="Targets"
        columns={columnsOf(rates, setChanged)}
        rows={targets}
        keyOf={targetKey}
        isOver={({ state }) => state === "disabled"}
        empty="No target is known yet: names are still being resolved, or none is configured."
      />
      {changed !== null && <Change target={changed} close={() => setChanged(null)} />}
    </Section>
  );
}

function columnsOf(
  rates: Rates,
  change: (target: TargetState) => void,
): TableColumn<TargetState>[] {
  const moved = (target: TargetState): number | undefined => rates.target(target)?.bytes;
  return [
    { name: "Target", cell: ({ name, backup }) => `${name}${backup ? " (backup)" : ""}` },
    {
      name: "Listener",
      wide: true,
      cell: ({ listener, route }) => (route === null ? listener : `${listener} ${route}`),
    },
    { name: "Health", wide: true, cell: (target) => <Health target={target} /> },
    { name: "Weight", kind: "number", cell: ({ weight }) => String(weight) },
    { name: "Open", kind: "number", cell: ({ active }) => count(active) },
    { name: "Both ways", kind: "number", cell: (target) => format(moved(target), bits) },
    {
      name: "Connects/s",
      kind: "number",
      cell: (target) => format(rates.target(target)?.connects, perSecond),
    },
    { name: "Failed", kind: "number", cell: ({ failures }) => count(failures) },
    {
      name: "Actions",
      kind: "action",
      cell: (target) => (
        <button
          type="button"
          onClick={() => change(target)}
          aria-label={`Change ${target.name} of ${target.listener}`}
        >
          Change…
        </button>
      ),
    },
  ];
}

function format(value: number | undefined, how: (value: number) => string): string {
  return value === undefined ? "–" : how(value);
}

function Health({ target }: { target: TargetState }): JSX.Element {
  const { state, health, states } = target;
  if (state !== "enabled")
    return <State shape={state === "draining" ? "half" : "off"}>{state}</State>;
  const workers = Object.values(states).reduce((all, each) => all + each, 0);
  const few = health === "up" || workers < 2 ? "" : `, ${states[health]} of ${workers} workers`;
  return (
    <State shape={HEALTH[health]}>{`${health === "half_open" ? "on trial" : health}${few}`}</State>
  );
}

function Change({ target, close }: { target: TargetState; close: () => void }): JSX.Element {
  const { name, listener, active, configuredWeight } = target;
  const [mode, setMode] = useState<Mode>(target.state);
  const [weight, setWeight] = useState(String(target.weight));
  const act = async () => {
    const body = {
      listener,
      target: name,
      state: mode,
      weight: weight === "" ? null : Number(weight),
    };
    const outcome = await ask<TargetState>("POST", "/api/targets", body);
    if (!outcome.done) return outcome;
    const { state, weight: given } = outcome.value;
    return { done: true, value: `${name} is ${state}, weight ${given}.` } as const;
  };
  const cuts = mode === "disabled" && target.state !== "disabled" && active > 0;
  return (
    <Dialog
      title={`${name} of ${listener}`}
      verb={cuts ? `Cut ${several(active, "connection")}` : "Apply"}
      cuts={cuts}
      act={act}
      close={close}
    >
      <fieldset>
        <legend>State</legend>
        {MODES.map(([each, meaning]) => (
          <label key={each} class="option">
            <input
              type="radio"
              name="mode"
              checked={mode === each}
              onChange={() => setMode(each)}
            />
            <span>
              <b>{each}</b> {meaning}
            </span>
          </label>
        ))}
      </fieldset>
      <label class="field">
        Weight
        <input
          type="number"
          min="0"
          max="1000"
          value={weight}
          placeholder={String(configuredWeight)}
          onInput={({ currentTarget }) => setWeight(currentTarget.value)}
        />
        <small>
          configured: {configuredWeight}. Empty: as configured. 0: only if there is no other
        </small>
      </label>
      <p class="hint">It holds until the proxy is started anew.</p>
    </Dialog>
  );
}
