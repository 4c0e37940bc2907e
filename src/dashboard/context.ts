// The store, for every part of the page, and a render for each of its changes while somebody looks. Called by main.tsx and
// all that shows something.

import { createContext } from "preact";
import { useContext, useLayoutEffect, useReducer } from "preact/hooks";

import type { Store } from "./store.ts";

export const StoreContext = createContext<Store | null>(null);

/** Without a render for each change: for who only acts. */
export function useStore(): Store {
  return useContext(StoreContext)!;
}

/** Renders whoever calls it when the store changed. A page that nobody sees is rendered once, when it is seen again. */
export function useChanges(store: Store): void {
  const [, render] = useReducer((changes: number) => changes + 1, 0);
  // Before anything else happens: what changed until it listens would not be shown.
  useLayoutEffect(() => {
    const changed = (): void => {
      if (!document.hidden) render(undefined);
    };
    const end = store.listen(changed);
    document.addEventListener("visibilitychange", changed);
    return () => {
      end();
      document.removeEventListener("visibilitychange", changed);
    };
  }, [store]);
}
