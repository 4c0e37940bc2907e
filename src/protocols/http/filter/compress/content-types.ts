// Content types whose bodies become smaller when they are compressed. Pictures, sound, films, archives and web fonts are
// compressed already. Pure; filter.ts calls it.

const EXACT = new Set([
  "application/javascript",
  "application/json",
  "application/ld+json",
  "application/manifest+json",
  "application/graphql",
  "application/ndjson",
  "application/x-ndjson",
  "application/rtf",
  "application/sql",
  "application/vnd.ms-fontobject",
  "application/wasm",
  "application/x-javascript",
  "application/x-sh",
  "application/x-yaml",
  "application/yaml",
  "application/xml",
  "font/otf",
  "font/ttf",
  "image/bmp",
  "image/x-icon",
  "image/vnd.microsoft.icon",
]);

/**
 * @param contentType as the backend sent it; null without one: then nothing is known.
 * Event streams are text, but stay as they are: each would hold an encoder's memory for as long as it is open.
 */
export function compressible(contentType: string | null): boolean {
  if (contentType === null) return false;
  const end = contentType.indexOf(";");
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  if (type.startsWith("text/")) return type !== "text/event-stream";
  return EXACT.has(type) || type.endsWith("+json") || type.endsWith("+xml");
}
