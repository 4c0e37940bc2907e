// Adds a record by an API that keeps each value as a record of its own, and would keep it twice if it were told twice. Called by
// the providers of that kind: cloudflare.ts, alidns.ts and digitalocean.ts.
//
// Invariant: a request of which nobody knows whether it was carried out is followed by a look, and not by another one.

import { DNS_API } from "../../../shared/auto-tls-limits.ts";
import type { TxtRecord } from "../provider.ts";
import { type Api, ApiError } from "./api.ts";

export interface AddSteps {
  /** The record, if it is there. */
  look(): Promise<TxtRecord | null>;
  create(): Promise<TxtRecord>;
  /** Codes of the API for: it is there already. */
  readonly existsCodes: readonly string[];
}

/** @throws ApiError */
export async function addOnce(api: Api, steps: AddSteps, signal: AbortSignal): Promise<TxtRecord> {
  for (let attempt = 1; ; attempt += 1) {
    const there = await steps.look();
    if (there !== null) return there;
    try {
      return await steps.create();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (steps.existsCodes.includes(error.apiCode)) return (await steps.look()) ?? raise(error);
      if (error.retry !== "unclear" || attempt >= DNS_API.attempts) throw error;
    }
    await api.rest(attempt, signal);
  }
}

function raise(error: unknown): never {
  throw error;
}
