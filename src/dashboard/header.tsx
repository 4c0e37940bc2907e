// The first line: is it ready, how much passes, how many errors, and whether anything is to be seen to; with what concerns
// the page itself. Called by page.tsx.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { Snapshot } from "../control/admin/schemas.ts";
import { type Matter, mattersOf } from "./attention.ts";
import { useStore } from "./context.ts";
import { age, bits, clock, count, perSecond, several, took } from "./format.ts";
import type { Column } from "./history.ts";
import { Mark, State } from "./mark.tsx";
import type { Store } from "./store.ts";
import { applyTheme, theme, THEMES } from "./theme.ts";

/** More are counted. */
const MATTERS_SHOWN = 6;

export function Header(): JSX.Element {
  const { snapshot, lastMinute } = useStore();
  const hadErrors = lastMinute.errors + lastMinute.refused > 0;
  return (
    <header>
      <div class="bar">
        <h1>
          proxy
          {snapshot !== null && <Identity snapshot={snapshot} />}
        </h1>
        <LinkLine />
        <ThemeChoice />
      </div>
      {snapshot !== null && <Figures snapshot={snapshot} />}
      {snapshot !== null && <Matters matters={mattersOf(snapshot)} hadErrors={hadErrors} />}
    </header>
  );
}

function Identity({ snapshot }: { snapshot: Snapshot }): JSX.Element {
  const { version, engine, uptimeSeconds, pid } = snapshot.status;
  const parts = [version, engine, `pid ${pid}`, `up ${age(uptimeSeconds)}`];
  return <small>{parts.filter((part) => part !== null).join(" · ")}</small>;
}

function LinkLine(): JSX.Element {
  const { link, heardMs } = useStore();
  if (link.kind === "live")
    return (
      <p class="link">
        <State shape="good">live</State>
      </p>
    );
  if (link.kind === "connecting")
    return (
      <p class="link">
        <State shape="off">connecting</State>
      </p>
    );
  if (link.kind === "locked")
    return (
      <p class="link">
        <State shape="off">a token is needed</State>
      </p>
    );
  const since = heardMs === 0 ? "no word yet" : `no word since ${clock(heardMs)}`;
  return (
    <p class="link lost">
      <State shape="bad">{`${since}: ${link.reason}. Trying again`}</State>
    </p>
  );
}

function ThemeChoice(): JSX.Element {
  const [chosen, setChosen] = useState(theme);
  return (
    <fieldset class="switch theme">
      <legend class="unseen">Colours</legend>
      {THEMES.map((each) => (
        <label key={each}>
          <input
            type="radio"
            name="theme"
            checked={each === chosen}
            onChange={() => {
              applyTheme(each);
              setChosen(each);
            }}
          />
          <span>{each}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
  readonly isBad?: boolean;
}

function Figures({ snapshot }: { snapshot: Snapshot }): JSX.Element {
  const store = useStore();
  const { ready, phase } = snapshot.status;
  const word = ready
    ? "Ready"
    : phase === "serving"
      ? "Not ready"
      : phase === "starting"
        ? "Starting"
        : "Draining";
  return (
    <dl class="figures">
      <div class="readiness">
        <dt>State</dt>
        <dd>
          <State shape={ready ? "good" : phase === "serving" ? "bad" : "half"}>{word}</State>
        </dd>
      </div>
      {figuresOf(snapshot, store).map(({ name, value, note, isBad = false }) => (
        <div key={name} class={isBad ? "bad" : ""}>
          <dt>{name}</dt>
          <dd>
            {isBad && <Mark shape="bad" />}
            {value} {note !== undefined && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function figuresOf(snapshot: Snapshot, { history, lastMinute }: Store): FigureProps[] {
  const { all } = history;
  const { errors, refused } = lastMinute;
  const hasHttp = snapshot.listeners.some(({ http }) => http !== null);
  const now = (column: Column): number => column.at(-1) ?? 0;
  const p99 = all.p99.at(-1) ?? null;
  return [
    { name: "To clients", value: bits(now(all.down)) },
    { name: "From clients", value: bits(now(all.up)) },
    ...(hasHttp
      ? [
          { name: "Requests", value: perSecond(now(all.requests)), note: "/s" },
          { name: "p99", value: p99 === null ? "–" : took(p99) },
        ]
      : []),
    {
      name: "Connections",
      value: count(now(all.active)),
      note: `${perSecond(now(all.opened))} new/s`,
    },
    {
      name: "Errors, last minute",
      value: count(errors + refused),
      note: hasHttp ? `${count(errors)} 5xx, ${count(refused)} refused` : "refused",
      isBad: errors + refused > 0,
    },
  ];
}

interface MattersProps {
  readonly matters: readonly Matter[];
  /** Which stand above. */
  readonly hadErrors: boolean;
}

function Matters({ matters, hadErrors }: MattersProps): JSX.Element {
  if (matters.length === 0) {
    return <p class="matters none">Nothing {hadErrors && "else "}to see to.</p>;
  }
  const more = matters.length - MATTERS_SHOWN;
  return (
    <ul class="matters" aria-label="To see to">
      {matters.slice(0, MATTERS_SHOWN).map(({ level, text }) => (
        <li key={text}>
          <State shape={level}>{text}</State>
        </li>
      ))}
      {more > 0 && <li>and {several(more, "matter")} more, below</li>}
    </ul>
  );
}
