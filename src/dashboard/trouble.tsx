// What went wrong: refusals by reason, and the last warnings and errors of the log. Called by page.tsx.

import type { JSX } from "preact";

import type { LogEvent } from "../control/admin/schemas.ts";
import { useStore } from "./context.ts";
import { count, moment } from "./format.ts";
import { Mark } from "./mark.tsx";
import type { Refusals as Refused } from "./rates.ts";
import { MEANINGS } from "./refusal-meanings.ts";
import { Section } from "./section.tsx";
import { Table, type TableColumn } from "./table.tsx";

export function Refusals(): JSX.Element {
  const { lastMinute } = useStore();
  const { refusals, refused } = lastMinute;
  return (
    <Section
      id="refusals"
      title="Refusals"
      note={refusals.length === 0 ? undefined : `${count(refused)} in the last minute`}
    >
      <Table
        label="Refusals by reason"
        columns={COLUMNS}
        rows={refusals}
        keyOf={({ reason }) => reason}
        empty="Nobody was refused since the start."
      />
    </Section>
  );
}

const COLUMNS: readonly TableColumn<Refused>[] = [
  {
    name: "Reason",
    cell: ({ reason, listeners }) => (
      <>
        {reason} <small>{MEANINGS[reason] ?? ""}</small>
        <small class="note">
          {listeners.map(([key, number]) => `${key}: ${count(number)}`).join(", ")}
        </small>
      </>
    ),
  },
  { name: "Last minute", kind: "number", cell: ({ lastMinute }) => count(lastMinute) },
  { name: "Since the start", kind: "number", cell: ({ total }) => count(total) },
];

export function Events(): JSX.Element | null {
  const { snapshot } = useStore();
  if (snapshot === null) return null;
  const { events, timeMs } = snapshot;
  return (
    <Section id="events" title="Warnings and errors" note={count(events.length)}>
      {events.length === 0 ? (
        <p class="empty">The log has none.</p>
      ) : (
        <ol class="events" tabIndex={0} aria-label="The last warnings and errors, newest first">
          {events.map((event) => (
            <Event key={keyOf(event)} event={event} nowMs={timeMs} />
          ))}
        </ol>
      )}
    </Section>
  );
}

const keyOf = ({ timeMs, message, fields }: LogEvent): string =>
  `${timeMs} ${message} ${JSON.stringify(fields)}`;

function Event({ event, nowMs }: { event: LogEvent; nowMs: number }): JSX.Element {
  const { timeMs, level, message, fields } = event;
  return (
    <li>
      <time dateTime={new Date(timeMs).toISOString()}>{moment(timeMs, nowMs)}</time>
      <span class={`state ${level === "error" ? "bad" : "warn"}`}>
        <Mark shape={level === "error" ? "bad" : "warn"} />
        <span class="unseen">{level}: </span>
        {message}
      </span>
      <small>
        {Object.entries(fields).map(([name, value]) => (
          <span key={name} class="pair">
            {name}={String(value)}
          </span>
        ))}
      </small>
    </li>
  );
}
