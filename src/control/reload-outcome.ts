// How a reload ended. Made by reloader.ts, told by the admin listener.

import type { PlanDiff } from "./diff.ts";

export type ReloadOutcome = { readonly diff: PlanDiff } | { readonly error: string };
