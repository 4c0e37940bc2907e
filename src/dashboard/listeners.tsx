// Listeners with what passes through each now, and since the start. Called by page.tsx.

import type { JSX } from "preact";

import type { ListenerState } from "../control/admin/schemas.ts";
import { useStore } from "./context.ts";
import { bits, bytes, count, perSecond, took } from "./format.ts";
import type { ColumnName } from "./history.ts";
import { State } from "./mark.tsx";
import { Section } from "./section.tsx";
import type { Store } from "./store.ts";
import { Table, type TableColumn } from "./table.tsx";

export function Listeners(): JSX.Element {
  const store = useStore();
  const listeners = store.snapshot?.listeners ?? [];
  const hasHttp = listeners.some(({ http }) => http !== null);
  return (
    <Section id="listeners" title="Listeners" note={count(listeners.length)}>
      <Table
        label="Listeners"
        columns={columnsOf(store, hasHttp)}
        rows={listeners}
        keyOf={({ key }) => key}
        empty="There is none yet: the proxy is starting."
      />
    </Section>
  );
}

function columnsOf(store: Store, hasHttp: boolean): TableColumn<ListenerState>[] {
  const now = (key: string, name: ColumnName, format: (value: number) => string): string => {
    const value = store.history.of(key)?.[name].at(-1);
    return value === null || value === undefined ? "–" : format(value);
  };
  const ofHttp: TableColumn<ListenerState>[] = [
    {
      name: "Requests/s",
      kind: "number",
      cell: ({ key, http }) => (http === null ? "" : now(key, "requests", perSecond)),
    },
    {
      name: "p99",
      kind: "number",
      cell: ({ key, http }) => (http === null ? "" : now(key, "p99", took)),
    },
    {
      name: "5xx",
      kind: "number",
      cell: ({ http }) => (http === null ? "" : count(http.answers["5xx"] ?? 0)),
    },
  ];
  return [
    {
      name: "Listener",
      cell: ({ key, workers }) => (
        <>
          {key} {workers.length === 0 && <State shape="bad">closed</State>}
        </>
      ),
    },
    { name: "Open", kind: "number", cell: ({ connections }) => count(connections.active) },
    { name: "New/s", kind: "number", cell: ({ key }) => now(key, "opened", perSecond) },
    { name: "To clients", kind: "number", cell: ({ key }) => now(key, "down", bits) },
    { name: "From clients", kind: "number", cell: ({ key }) => now(key, "up", bits) },
    ...(hasHttp ? ofHttp : []),
    { name: "Refused", kind: "number", cell: ({ refused }) => count(sum(refused)) },
    {
      name: "Since the start",
      kind: "number",
      wide: true,
      cell: ({ connections, bytes: moved }) =>
        `${count(connections.total)} conn. · ${bytes(moved.up + moved.down)}`,
    },
  ];
}

function sum(refused: Readonly<Record<string, number>>): number {
  return Object.values(refused).reduce((all, each) => all + each, 0);
}
