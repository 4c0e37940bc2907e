// The page, top to bottom: the first line, charts, then what there is in tables beside what went wrong. Called by main.tsx.

import type { JSX } from "preact";

import { CertificateList } from "./certificates.tsx";
import { Charts } from "./charts.tsx";
import { Connections } from "./connections.tsx";
import { useChanges, useStore } from "./context.ts";
import { Header } from "./header.tsx";
import { Listeners } from "./listeners.tsx";
import { Configurations, Machinery } from "./operation.tsx";
import { Section } from "./section.tsx";
import { SignIn } from "./sign-in.tsx";
import { SPANS } from "./store.ts";
import { Targets } from "./targets.tsx";
import { Events, Refusals } from "./trouble.tsx";

export function Page(): JSX.Element {
  const store = useStore();
  useChanges(store);
  const { link, snapshot, announcement } = store;
  const isStale = snapshot !== null && link.kind === "lost";
  return (
    <div class={isStale ? "page stale" : "page"}>
      <Header />
      <p role="status" class="notice">
        {announcement}
      </p>
      {link.kind === "locked" ? <SignIn refused={link.refused} /> : snapshot !== null && <Body />}
      {snapshot === null && link.kind !== "locked" && (
        <p class="empty first">Waiting for the first snapshot.</p>
      )}
    </div>
  );
}

function Body(): JSX.Element {
  return (
    <main>
      <Section id="charts" title="Over time" aside={<Choices />}>
        <Charts />
      </Section>
      <div class="columns">
        <div>
          <Listeners />
          <Targets />
          <Connections />
        </div>
        <div>
          <Refusals />
          <Events />
          <CertificateList />
          <Configurations />
          <Machinery />
        </div>
      </div>
    </main>
  );
}

/** Which listener is shown, and how far back. */
function Choices(): JSX.Element {
  const store = useStore();
  const { snapshot, listener, span } = store;
  return (
    <div class="controls">
      <label>
        <span class="unseen">Listener</span>
        <select
          value={listener ?? ""}
          onChange={({ currentTarget: { value } }) =>
            store.choose({ listener: value === "" ? null : value })
          }
        >
          <option value="">all listeners</option>
          {(snapshot?.listeners ?? []).map(({ key }) => (
            <option key={key} value={key}>
              {key}
            </option>
          ))}
        </select>
      </label>
      <fieldset class="switch">
        <legend class="unseen">How far back</legend>
        {SPANS.map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="span"
              checked={each === span}
              onChange={() => store.choose({ span: each })}
            />
            <span>{each / 60} min</span>
          </label>
        ))}
      </fieldset>
    </div>
  );
}
