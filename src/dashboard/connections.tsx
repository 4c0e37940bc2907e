// Live connections, those that move most first, to look for and to close. Rows keep their places while the pointer or the
// focus is among them: what somebody is about to press must not move away. Called by page.tsx.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { useStore } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { age, bits, bytes, count } from "./format.ts";
import { type Connection, connectionKey, type Rates } from "./rates.ts";
import { ask } from "./requests.ts";
import { Section } from "./section.tsx";
import type { Store } from "./store.ts";
import { Table, type TableColumn } from "./table.tsx";

/** How long one that ended is still shown where somebody points. */
const OVER_MS = 10_000;

export function Connections(): JSX.Element {
  const store = useStore();
  const [filter, setFilter] = useState("");
  const [closing, setClosing] = useState<Connection | null>(null);
  const { matching = 0, connections = [] } = store.snapshot?.connections ?? {};
  const list = useRef<HTMLDivElement>(null);
  const nowMs = store.snapshot?.timeMs ?? 0;
  const asked = `${store.listener ?? ""}\n${filter}`; // who asks for others wants to see those
  const lastAsked = useRef(asked);
  const inUse = lastAsked.current === asked && isInUse(list.current);
  lastAsked.current = asked;
  const { rows, isOver } = useHeldOrder(ordered(connections, store, filter), inUse, nowMs);
  const isPart = matching > connections.length;
  return (
    <Section
      id="connections"
      title="Connections"
      note={isPart ? `${count(connections.length)} busiest of ${count(matching)}` : count(matching)}
      aside={
        <input
          type="search"
          aria-label={isPart ? "Filter the listed connections" : "Filter connections"}
          placeholder="client, target or listener"
          value={filter}
          onInput={({ currentTarget }) => setFilter(currentTarget.value)}
        />
      }
    >
      <div class="list" ref={list}>
        <Table
          label="Connections"
          columns={columnsOf(store, setClosing)}
          rows={rows}
          keyOf={connectionKey}
          isOver={isOver}
          empty={<Nobody store={store} isFiltered={filter !== ""} />}
        />
      </div>
      {closing !== null && <Closing connection={closing} close={() => setClosing(null)} />}
    </Section>
  );
}

function ordered(
  connections: readonly Connection[],
  { rates, listener }: Store,
  filter: string,
): Connection[] {
  const wanted = filter.trim().toLowerCase();
  const fits = (each: Connection): boolean =>
    (listener === null || each.listener === listener) &&
    `${each.client} ${each.target} ${each.listener}`.toLowerCase().includes(wanted);
  const speed = (each: Connection): number => rates.connection(each) ?? 0;
  return connections
    .filter(fits)
    .toSorted((a, b) => speed(b) - speed(a) || b.bytesUp + b.bytesDown - a.bytesUp - a.bytesDown);
}

/** Whether somebody points into it or has the focus there. A finger that has gone still counts as pointing, so it does not. */
function isInUse(list: HTMLElement | null): boolean {
  if (list === null) return false;
  const isPointedAt = matchMedia("(hover: hover)").matches && list.matches(":hover");
  return isPointedAt || list.contains(document.activeElement);
}

/** Those that were there stay where they were while it is in use, for OVER_MS also if they ended; others come after them. */
function useHeldOrder(current: Connection[], inUse: boolean, nowMs: number) {
  const shown = useRef<Connection[]>([]);
  const ended = useRef(new Map<string, number>());
  const byKey = new Map(current.map((each) => [connectionKey(each), each]));
  const isOver = (each: Connection): boolean => !byKey.has(connectionKey(each));
  const before = inUse ? shown.current : [];
  const endedMs = new Map(
    before.filter(isOver).map((each) => {
      const key = connectionKey(each);
      return [key, ended.current.get(key) ?? nowMs];
    }),
  );
  ended.current = endedMs;
  const stayed = before
    .filter((each) => nowMs - (endedMs.get(connectionKey(each)) ?? nowMs) < OVER_MS)
    .map((each) => byKey.get(connectionKey(each)) ?? each);
  const known = new Set(stayed.map(connectionKey));
  shown.current = [...stayed, ...current.filter((each) => !known.has(connectionKey(each)))];
  return { rows: shown.current, isOver };
}

function columnsOf(
  { rates, snapshot }: Store,
  close: (connection: Connection) => void,
): TableColumn<Connection>[] {
  const nowMs = snapshot?.timeMs ?? 0;
  return [
    { name: "Client", cell: ({ client }) => client },
    { name: "Listener", wide: true, cell: ({ listener }) => listener },
    { name: "Target", wide: true, cell: ({ target }) => target || "–" },
    { name: "Both ways", kind: "number", cell: (each) => rate(each, rates) },
    { name: "From client", kind: "number", cell: ({ bytesUp }) => bytes(bytesUp) },
    { name: "To client", kind: "number", cell: ({ bytesDown }) => bytes(bytesDown) },
    { name: "Age", kind: "number", cell: ({ startedMs }) => age((nowMs - startedMs) / 1000) },
    { name: "Idle", kind: "number", cell: ({ activeMs }) => age((nowMs - activeMs) / 1000) },
    {
      name: "Actions",
      kind: "action",
      cell: (each) => (
        <button
          type="button"
          onClick={() => close(each)}
          aria-label={`Close the connection of ${each.client}`}
        >
          Close…
        </button>
      ),
    },
  ];
}

function rate(connection: Connection, rates: Rates): string {
  const value = rates.connection(connection);
  return value === undefined ? "–" : bits(value);
}

function Closing({
  connection,
  close,
}: {
  connection: Connection;
  close: () => void;
}): JSX.Element {
  const { worker, id, client, target, listener } = connection;
  const act = async () => {
    const outcome = await ask<{ closed: number }>(
      "DELETE",
      `/api/connections?worker=${worker}&id=${id}`,
    );
    if (!outcome.done) return outcome;
    const done = outcome.value.closed > 0;
    const value = done
      ? `The connection of ${client} is closed.`
      : `It was over already: ${client}.`;
    return { done: true, value } as const;
  };
  return (
    <Dialog title="Close this connection?" verb="Close it" cuts act={act} close={close}>
      <p>
        {client} by {listener}
        {target === "" ? "" : ` to ${target}`}
      </p>
      <p class="hint">Both sides see a reset. What was on its way is lost.</p>
    </Dialog>
  );
}

function Nobody({ store, isFiltered }: { store: Store; isFiltered: boolean }): JSX.Element {
  if (isFiltered) return <>None of the listed connections fits.</>;
  const first = store.snapshot?.listeners.find(
    ({ key }) => store.listener === null || key === store.listener,
  );
  const address = first?.addresses[0];
  if (first === undefined || address === undefined) return <>No connection is open.</>;
  return (
    <>
      No connection is open. To see one, in a terminal of this machine:{" "}
      <code>{trial(first.protocol, address)}</code>
    </>
  );
}

function trial(protocol: string, address: string): string {
  const here = address.replace(/^(0\.0\.0\.0|\[::\]):/, "127.0.0.1:");
  if (protocol === "http") return `curl http://${here}/`;
  if (protocol === "http2" || protocol === "http3") return `curl -k https://${here}/`;
  const colon = here.lastIndexOf(":");
  const where = `${here.slice(0, colon).replace(/^\[|\]$/g, "")} ${here.slice(colon + 1)}`;
  if (protocol === "udp") return `nc -u ${where}`;
  if (protocol === "tls") return `openssl s_client -connect ${here}`;
  return here.startsWith("unix:") ? `nc -U ${here.slice(5)}` : `nc ${where}`;
}
