// The configuration and the process: reloads with what they changed, what is served, the log's level, memory and threads.
// Called by page.tsx.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

import type { Changes, Configuration, ReloadEntry, Snapshot } from "../control/admin/schemas.ts";
import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { bytes, count, moment, several } from "./format.ts";
import { State } from "./mark.tsx";
import { ask } from "./requests.ts";
import { Section } from "./section.tsx";

const LEVELS = ["debug", "info", "warn", "error"] as const;

const CAUSES: Readonly<Record<ReloadEntry["cause"], string>> = {
  signal: "by a signal",
  file: "the file changed",
  api: "asked for here or by the API",
  start: "start",
};

export function Configurations(): JSX.Element | null {
  const { snapshot } = useStore();
  const [asking, setAsking] = useState(false);
  if (snapshot === null) return null;
  const { reloads, timeMs } = snapshot;
  return (
    <Section
      id="configuration"
      title="Configuration"
      aside={
        <button type="button" onClick={() => setAsking(true)}>
          Reload…
        </button>
      }
    >
      <ol class="reloads" aria-label="Reloads, newest first">
        {reloads.map((entry) => (
          <Reload key={entry.atMs} entry={entry} nowMs={timeMs} />
        ))}
      </ol>
      <Served />
      <Level />
      {asking && <AskReload close={() => setAsking(false)} />}
    </Section>
  );
}

function Reload({ entry, nowMs }: { entry: ReloadEntry; nowMs: number }): JSX.Element {
  const { atMs, cause, taken, error, changes } = entry;
  return (
    <li>
      <time dateTime={new Date(atMs).toISOString()}>{moment(atMs, nowMs)}</time>
      <State
        shape={taken ? "good" : "bad"}
      >{`${taken ? "taken" : "refused"}, ${CAUSES[cause]}`}</State>
      {error !== null && <p class="reason">{error}</p>}
      {changes !== null && <Diff changes={changes} />}
    </li>
  );
}

function Diff({ changes }: { changes: Changes }): JSX.Element {
  const { added, removed, changed, unchanged, settings, deferred } = changes;
  const lines: (readonly [string, string, ComponentChildren])[] = [
    ...added.map((key) => ["+", "added", key] as const),
    ...removed.map((key) => ["−", "removed", key] as const),
    ...changed.map(
      ({ listener, parts }) => ["~", "changed", `${listener}: ${parts.join(", ")}`] as const,
    ),
    ...settings.map((name) => ["~", "changed", name] as const),
    ...deferred.map((name) => ["!", "needs an upgrade", `${name} needs an upgrade`] as const),
  ];
  return (
    <ul class="diff">
      {lines.map(([sign, word, text]) => (
        <li key={`${sign}${String(text)}`}>
          <span aria-hidden="true">{sign}</span>
          <span class="unseen">{word}: </span>
          {text}
        </li>
      ))}
      <li class="rest">
        {lines.length === 0
          ? "nothing was different"
          : `${several(unchanged, "listener")} as before`}
      </li>
    </ul>
  );
}

function AskReload({ close }: { close: () => void }): JSX.Element {
  const act = async () => {
    const outcome = await ask<Changes>("POST", "/api/reload");
    return outcome.done
      ? ({ done: true, value: `Reloaded: ${told(outcome.value)}.` } as const)
      : outcome;
  };
  return (
    <Dialog title="Read the configuration again?" verb="Reload" act={act} close={close}>
      <p class="hint">
        Only listeners that are different in it are touched, and nobody is cut off. A file with a
        mistake changes nothing.
      </p>
    </Dialog>
  );
}

function told({ added, removed, changed, settings }: Changes): string {
  const parts = [
    ...added.map((key) => `${key} added`),
    ...removed.map((key) => `${key} removed`),
    ...changed.map(({ listener }) => `${listener} changed`),
    ...settings.map((name) => `${name} changed`),
  ];
  return parts.length === 0 ? "nothing was different" : parts.join(", ");
}

/** What is served, asked for when somebody wants to see it. */
function Served(): JSX.Element {
  const [text, setText] = useState<string | null>(null);
  const look = async (open: boolean): Promise<void> => {
    if (!open) return setText(null);
    const outcome = await ask<Configuration>("GET", "/api/config");
    setText(outcome.done ? outcome.value.text : outcome.reason);
  };
  return (
    <details class="served" onToggle={({ currentTarget }) => void look(currentTarget.open)}>
      <summary>what is served</summary>
      <pre tabIndex={0}>{text ?? "…"}</pre>
    </details>
  );
}

function Level(): JSX.Element {
  const store = useStore();
  const [reason, setReason] = useState<string | null>(null);
  const set = async (level: string): Promise<void> => {
    if (level === "") return;
    const outcome = await ask<unknown>("POST", "/api/log-level", { level });
    setReason(outcome.done ? null : outcome.reason);
    if (outcome.done) store.announce(`The log has ${level} and above until the next reload.`);
  };
  return (
    <label class="level">
      Log level until the next reload
      <select onChange={({ currentTarget }) => void set(currentTarget.value)}>
        <option value="">as it is</option>
        {LEVELS.map((level) => (
          <option key={level}>{level}</option>
        ))}
      </select>
      {reason !== null && (
        <span role="alert" class="reason">
          {reason}
        </span>
      )}
    </label>
  );
}

export function Machinery(): JSX.Element | null {
  const { snapshot, cpuShare } = useStore();
  if (snapshot === null) return null;
  return (
    <Section id="process" title="Process">
      <dl class="pairs">
        {machinery(snapshot, cpuShare).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

function machinery({ process, status }: Snapshot, cpuShare: number | null): [string, string][] {
  const { memoryBytes, lagMs, descriptors } = process;
  const relays = status.workers.filter(({ kind }) => kind === "relay").length;
  const gateways = status.workers.length - relays;
  const kinds = [relays > 0 ? `${relays} relay` : "", gateways > 0 ? `${gateways} gateway` : ""];
  const { open, max } = descriptors;
  return [
    ["Workers", kinds.filter((each) => each !== "").join(", ")],
    ["Restarts of workers", count(status.workerRestarts)],
    ["Log level", status.logLevel],
    ["CPU", cpuShare === null ? "–" : `${(cpuShare * 100).toFixed(0)} % of one`],
    ["Memory", bytes(memoryBytes)],
    ["Threads late by", `${lagMs.toFixed(0)} ms`],
    [
      "Descriptors",
      open === null ? "–" : `${count(open)}${max === null ? "" : ` of ${count(max)}`}`,
    ],
  ];
}
