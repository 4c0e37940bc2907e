// From a Source to a Config: grammar, relations, and what this version carries out, all problems of all three at once. The
// one way to a Config, for files and flags alike.

import { unavailable } from "./availability.ts";
import { explain } from "./explain.ts";
import { type Path, type Problem, problemsError, type Source } from "./problems.ts";
import { missingTargets, relationProblems, relationsOfEntries } from "./relations.ts";
import { type Config, protocolSchema, schema } from "./schema.ts";

export type Checked = { readonly config: Config } | { readonly problems: readonly Problem[] };

/** The grammar and the relations, without asking whether this version carries them out. */
export function checkGrammar(source: Source): Checked {
  const parsed = schema.safeParse(source.value);
  if (!parsed.success) {
    const grammar = explain(parsed.error.issues, source);
    return { problems: [...grammar, ...relationsOfGoodEntries(source)] };
  }
  const problems = [...relationProblems(parsed.data, source), ...hiddenNames(source)];
  return problems.length > 0 ? { problems } : { config: parsed.data };
}

/** A mapping whose keys are anybody's own, fields for example, loses this one on its way through the grammar. */
function hiddenNames(source: Source): Problem[] {
  const walk = (value: unknown, path: Path): Problem[] => {
    if (typeof value !== "object" || value === null) return [];
    if (Array.isArray(value)) return value.flatMap((inner, i) => walk(inner, [...path, i]));
    return Object.entries(value).flatMap(([key, inner]) => {
      const at = [...path, key];
      if (key !== "__proto__") return walk(inner, at);
      return [
        { place: source.place(at, "key"), message: "is a name that cannot be used", path: at },
      ];
    });
  };
  return walk(source.value, []);
}

/** One bad entry must not hide what is wrong between the keys of another. */
function relationsOfGoodEntries(source: Source): Problem[] {
  const entries = (source.value as { protocols?: unknown } | null)?.protocols;
  if (!Array.isArray(entries)) return [];
  const good = entries.map((entry) => protocolSchema.safeParse(entry).data);
  const bad = entries.map((entry, i) => (good[i] === undefined ? (entry as unknown) : undefined));
  return [...relationsOfEntries(good, source), ...missingTargets(bad, source)];
}

export interface Findings {
  readonly problems: readonly Problem[];
  /** All that is wrong is that this version does not carry it out. */
  readonly onlyLater: boolean;
  /** If there is no problem. */
  readonly config?: Config;
}

export function findings(source: Source): Findings {
  const checked = checkGrammar(source);
  const later = unavailable(source);
  if ("config" in checked) {
    const { config } = checked;
    return later.problems.length > 0
      ? { problems: later.problems, onlyLater: true }
      : { problems: [], onlyLater: false, config };
  }
  const others = checked.problems.filter(({ path }) => !later.covers(path));
  return { problems: [...others, ...later.problems], onlyLater: others.length === 0 };
}

/**
 * @throws ProxyError ERR_CONFIG with a line for each problem, or ERR_NOT_AVAILABLE if that is all that is wrong.
 */
export function checkSource(source: Source): Config {
  const { problems, onlyLater, config } = findings(source);
  if (config !== undefined) return config;
  throw problemsError(onlyLater ? "ERR_NOT_AVAILABLE" : "ERR_CONFIG", problems);
}
