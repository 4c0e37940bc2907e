// Text of others for a terminal: names and messages come from configurations, certificates and peers, and no escape sequence in
// one may move a cursor, nor a mark for writing from right to left change what a line says. Pure. Called wherever such text is
// shown to a person.

/** What is not a letter, mark, digit, punctuation, symbol or space. */
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]/gu;
const BEYOND_ASCII = /[^\u0000-\u007F]/gu;

/**
 * What could do more than be seen is escaped as in source text: `\u001b`.
 * @param unicode whether the terminal shows more than ASCII.
 */
export function printable(text: string, unicode = true): string {
  const safe = text.replace(UNPRINTABLE, escaped);
  return unicode ? safe : safe.replace(BEYOND_ASCII, escaped);
}

/** As `printable`, in lines. */
export function printableLines(text: string, unicode = true): string[] {
  return text.split(/\r?\n/).map((line) => printable(line, unicode));
}

/** JSON, which may have such marks within its texts, with the same meaning. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (mark) => (mark === "\n" ? mark : unicodeOf(mark)));
}

function escaped(mark: string): string {
  if (mark === "\n") return "\\n";
  return mark === "\t" ? "\\t" : unicodeOf(mark);
}

/** Of UTF-16, as JSON writes it. */
function unicodeOf(mark: string): string {
  const units = Array.from({ length: mark.length }, (_, i) => mark.charCodeAt(i));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
