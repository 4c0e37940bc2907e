// From a Source to a Config: grammar, then relations, then what this version carries out. Every problem of a stage is
// reported at once. The one way to a Config, for files and flags alike.

import { availabilityProblems } from "./availability.ts";
import { explain } from "./explain.ts";
import { type Problem, problemsError, type Source } from "./problems.ts";
import { entryProblems, relationProblems } from "./relations.ts";
import { type Config, protocolSchema, schema } from "./schema.ts";

export type Checked = { readonly config: Config } | { readonly problems: readonly Problem[] };

/** The grammar and the relations, without asking whether this version carries them out. */
export function checkGrammar(source: Source): Checked {
  const parsed = schema.safeParse(source.value);
  if (!parsed.success) {
    const grammar = explain(parsed.error.issues, source);
    return { problems: [...grammar, ...relationsOfGoodEntries(source)] };
  }
  const problems = relationProblems(parsed.data, source);
  return problems.length > 0 ? { problems } : { config: parsed.data };
}

/** One bad entry must not hide what is wrong between the keys of another. */
function relationsOfGoodEntries(source: Source): Problem[] {
  const entries = (source.value as { protocols?: unknown } | null)?.protocols;
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry, i) => {
    const parsed = protocolSchema.safeParse(entry);
    return parsed.success ? entryProblems(parsed.data, i, source) : [];
  });
}

/**
 * @throws ProxyError ERR_CONFIG with a line for each problem, or ERR_NOT_AVAILABLE if that is all that is wrong.
 */
export function checkSource(source: Source): Config {
  const checked = checkGrammar(source);
  if ("problems" in checked) throw problemsError("ERR_CONFIG", checked.problems);
  const problems = availabilityProblems(checked.config, source);
  if (problems.length > 0) throw problemsError("ERR_NOT_AVAILABLE", problems);
  return checked.config;
}
