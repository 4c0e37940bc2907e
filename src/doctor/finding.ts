// What `doctor` finds: one line for each thing that was looked at, with a cure where something is not as it should be. A warning
// is what may hurt some day, a problem what stops the proxy, or clients, now.

import { messageOf, ProxyError } from "../shared/errors.ts";

export type Result = "ok" | "warning" | "problem";

export interface Finding {
  /** What was looked at: `ports`, `certificates`. */
  readonly check: string;
  readonly result: Result;
  readonly finding: string;
  /** An imperative sentence; null where nothing is to be done. */
  readonly cure: string | null;
}

/** Makes the findings of one check. */
export class Findings {
  readonly #check: string;
  readonly all: Finding[] = [];

  constructor(check: string) {
    this.#check = check;
  }

  ok(finding: string): void {
    this.#add("ok", finding, null);
  }

  warning(finding: string, cure: string): void {
    this.#add("warning", finding, cure);
  }

  problem(finding: string, cure: string): void {
    this.#add("problem", finding, cure);
  }

  #add(result: Result, finding: string, cure: string | null): void {
    this.all.push({ check: this.#check, result, finding, cure });
  }
}

/** What is wrong, and the error's own cure, which its message ends with. */
export function faultOf(error: unknown): { readonly fault: string; readonly cure: string | null } {
  const message = messageOf(error);
  const cure = error instanceof ProxyError ? (error.cure ?? null) : null;
  const tail = `. ${cure}`;
  return { fault: message.endsWith(tail) ? message.slice(0, -tail.length) : message, cure };
}
