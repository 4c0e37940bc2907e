// Names and zones, as APIs see them. Pure. Called by the providers, which ask for each of the zones that a name could be in.

/**
 * The zones that a name could be in, longest first: the name itself, since `_acme-challenge.example.com` may be delegated, up to
 * two labels. `a.b.example.com`: a.b.example.com, b.example.com, example.com.
 */
export function zonesOf(name: string): string[] {
  const labels = name.split(".");
  return labels
    .slice(0, Math.max(1, labels.length - 1))
    .map((_, index) => labels.slice(index).join("."));
}

/** `_acme-challenge.sub` of _acme-challenge.sub.example.com in example.com; `@` for the zone's own name. */
export function relativeName(name: string, zone: string): string {
  return name === zone ? "@" : name.slice(0, name.length - zone.length - 1);
}

/** As names are compared: lower case, without the last dot. */
export function plainName(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

/** The content of a TXT record of one string without its quotes (RFC 1035 section 5.1), which some APIs add and some do not. */
export function unquoted(content: string): string {
  return content.length >= 2 && content.startsWith('"') && content.endsWith('"')
    ? content.slice(1, -1)
    : content;
}

export function quoted(value: string): string {
  return `"${value}"`;
}
