// A part of the page, with its heading and what stands beside it. Called by page.tsx's parts.

import type { ComponentChildren, JSX } from "preact";

export interface SectionProps {
  /** Of the page, for links to it. */
  readonly id: string;
  readonly title: string;
  /** What belongs to the heading: a number. */
  readonly note?: string | undefined;
  /** On the same line. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Section({ id, title, note, aside, children }: SectionProps): JSX.Element {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <div class="heading">
        <h2 id={`${id}-title`}>
          {title} {note !== undefined && <small>{note}</small>}
        </h2>
        {aside}
      </div>
      {children}
    </section>
  );
}
