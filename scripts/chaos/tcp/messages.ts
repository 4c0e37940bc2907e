// What chaos.ts and the process under test say to each other over the runtime's IPC channel. One answer for each question, in
// their order.

export type Question =
  | { readonly do: "start" }
  | { readonly do: "state"; readonly collect: boolean }
  /** A worker throws, and is replaced. */
  | { readonly do: "crash"; readonly worker: number }
  /** Resets a random connection. */
  | { readonly do: "disconnect" }
  /** New connections of the listeners go to these targets, by index, in this order. */
  | { readonly do: "targets"; readonly targets: readonly number[] }
  /** A second proxy in the same process comes, and goes. */
  | { readonly do: "open" }
  | { readonly do: "close"; readonly drain: boolean }
  | { readonly do: "stop" };

export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

export interface State {
  /** Live connections of both proxies. */
  readonly rows: number;
  readonly restarts: number;
  /** Every listener is open on every worker. */
  readonly complete: boolean;
  readonly accepted: number;
  /** Errors in the log so far, but for those of crashes that were asked for. */
  readonly errors: readonly string[];
}

export type Answer =
  | State
  | { readonly places: readonly Place[] }
  /** The client's port; 0 if there was none. */
  | { readonly port: number }
  | { readonly reset: number };
