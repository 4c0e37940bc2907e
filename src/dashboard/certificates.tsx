// Certificates and the days that they have left, those that end first at the top. Called by page.tsx.

import type { JSX } from "preact";

import type { Certificates as All, Snapshot } from "../control/admin/schemas.ts";
import { FILE_DAYS } from "./attention.ts";
import { useStore } from "./context.ts";
import { count, day, moment, several } from "./format.ts";
import { type Shape, State } from "./mark.tsx";
import { Section } from "./section.tsx";
import { Table, type TableColumn } from "./table.tsx";

interface Row {
  readonly key: string;
  readonly names: string;
  /** Who signed or will sign it, or which listener shows it. */
  readonly origin: string;
  readonly days: number | null;
  readonly shape: Shape;
  readonly state: string;
  readonly note: string;
}

const DAY_MS = 86_400_000;

export function CertificateList(): JSX.Element | null {
  const { snapshot } = useStore();
  if (snapshot === null) return null;
  const rows = rowsOf(snapshot);
  return (
    <Section id="certificates" title="Certificates" note={count(rows.length)}>
      <Table
        label="Certificates"
        columns={COLUMNS}
        rows={rows}
        keyOf={({ key }) => key}
        empty="No listener shows one. auto_tls obtains them; tls.cert_file and key_file name those that you have."
      />
    </Section>
  );
}

const COLUMNS: readonly TableColumn<Row>[] = [
  {
    name: "Names",
    cell: ({ names, origin, note }) => (
      <>
        {names} <small>{origin}</small>
        {note !== "" && <small class="note">{note}</small>}
      </>
    ),
  },
  { name: "State", cell: ({ shape, state }) => <State shape={shape}>{state}</State> },
  { name: "Days left", kind: "number", cell: ({ days }) => (days === null ? "–" : count(days)) },
];

function rowsOf({ certificates, timeMs }: Snapshot): Row[] {
  const { managed, files } = certificates;
  const all = [
    ...managed.map((each) => ofManaged(each, timeMs)),
    ...files.map((each) => ofFile(each, timeMs)),
  ];
  return all.toSorted((a, b) => (a.days ?? -1) - (b.days ?? -1));
}

function ofManaged(each: All["managed"][number], nowMs: number): Row {
  const { names, state, authority, daysLeft, failures, lastFailure, nextAttemptMs } = each;
  const failed =
    failures === 0
      ? ""
      : `${several(failures, "failure")}, the last: ${lastFailure ?? "unknown"}. `;
  const next = `next attempt ${moment(nextAttemptMs, nowMs)}`;
  return {
    key: `managed ${names.join()}`,
    names: names.join(", "),
    origin: authority ?? "automatic",
    days: daysLeft,
    shape: state === "valid" ? (failures > 0 ? "warn" : "good") : "bad",
    state,
    note: state === "valid" && failures === 0 ? "" : `${failed}${next}`,
  };
}

function ofFile({ listener, names, notAfterMs }: All["files"][number], nowMs: number): Row {
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  return {
    key: `file ${listener} ${names.join()} ${notAfterMs}`,
    names: names.join(", "),
    origin: `a file of ${listener}, until ${day(notAfterMs)}`,
    days: Math.max(0, days),
    shape: days < 0 ? "bad" : days < FILE_DAYS ? "warn" : "good",
    state: days < 0 ? "expired" : days < FILE_DAYS ? "ends soon" : "valid",
    note: "",
  };
}
