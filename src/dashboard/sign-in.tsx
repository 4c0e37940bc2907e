// Asks for the token, where the admin listener has one. Called by page.tsx.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { useStore } from "./context.ts";

export function SignIn({ refused }: { refused: boolean }): JSX.Element {
  const store = useStore();
  const [value, setValue] = useState("");
  const submit = (event: Event): void => {
    event.preventDefault();
    if (value.trim() !== "") store.signIn(value.trim());
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h2>This proxy asks for its token</h2>
        <label class="field">
          Token
          <input
            type="password"
            autocomplete="off"
            autofocus
            value={value}
            aria-describedby="token-hint token-reason"
            aria-invalid={refused}
            onInput={({ currentTarget }) => setValue(currentTarget.value)}
          />
        </label>
        <p id="token-reason" role="alert" class="reason">
          {refused ? "That is not the token." : ""}
        </p>
        <p id="token-hint" class="hint">
          It is the line in the file that <code>admin.token_file</code> names. This tab keeps it
          until it is closed.
        </p>
        <div class="choices">
          <button type="submit" class="main">
            Show the dashboard
          </button>
        </div>
      </form>
    </main>
  );
}
