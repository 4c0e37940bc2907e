// A question that has to be answered before anything else: asked before something is cut, and where a change has parts. The
// browser's own modal dialog keeps the focus inside, ends by Escape, and gives the focus back. Called by what can be done.

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { useStore } from "./context.ts";
import type { Outcome } from "./requests.ts";

interface DialogProps {
  readonly title: string;
  /** On the button that does it: Close it. */
  readonly verb: string;
  /** It cuts something. */
  readonly cuts?: boolean;
  /** Does it. @returns what is said when it is done. */
  act(): Promise<Outcome<string>>;
  /** It is over, done or not. */
  close(): void;
  readonly children?: ComponentChildren;
}

export function Dialog({
  title,
  verb,
  cuts = false,
  act,
  close,
  children,
}: DialogProps): JSX.Element {
  const store = useStore();
  const element = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => {
    const dialog = element.current!;
    const opener = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setReason(null);
    const outcome = await act();
    setBusy(false);
    if (!outcome.done) return setReason(outcome.reason);
    store.announce(outcome.value);
    close();
  };
  return (
    <dialog ref={element} aria-labelledby="question" onCancel={close}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="question">{title}</h2>
        {children}
        <p role="alert" class="reason">
          {reason}
        </p>
        <div class="choices">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={cuts ? "cuts" : "main"} disabled={busy}>
            {busy ? "…" : verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
