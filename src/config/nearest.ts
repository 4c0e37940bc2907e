// The known word nearest to a mistyped one. Called wherever an unknown key, value or flag is refused.

/** The word within a third of its letters of `typed` (at least one edit), or one that `typed` begins. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const plain = (word: string): string => word.toLowerCase().replace(/[-_ ]/g, "");
  const wanted = plain(typed);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const word of known) {
    const distance = editDistance(wanted, plain(word));
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  const allowed = Math.max(1, Math.floor(wanted.length / 3));
  // One edit makes any letter any other: a single letter is near to nothing.
  if (best !== undefined && bestDistance <= allowed && (wanted.length > 1 || bestDistance === 0))
    return best;
  return wanted === "" ? undefined : known.find((word) => plain(word).startsWith(wanted));
}

/** `Did you mean "x"?`, or the list when nothing is near. */
export function suggest(typed: string, known: readonly string[], quote = '"'): string {
  const word = nearest(typed, known);
  if (word !== undefined) return `Did you mean ${quote}${word}${quote}?`;
  return `Known here: ${known.join(", ")}`;
}

/** Insertions, deletions, substitutions and swaps of neighbours (Damerau-Levenshtein, optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2]! + 1);
      }
      row.push(cost);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length]!;
}
