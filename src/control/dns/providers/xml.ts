// As much XML as the answers of Route 53 need: elements without attributes that do not contain their own name. Entities are the
// five of XML and numbers; nothing that a document declares is looked at. Pure, and linear in the text. Called by route53.ts.

/** The insides of all elements of this name, in order. What is not closed is not there. */
export function elements(xml: string, name: string): string[] {
  const open = `<${name}>`;
  const close = `</${name}>`;
  const found: string[] = [];
  for (let from = xml.indexOf(open); from !== -1; from = xml.indexOf(open, from)) {
    const end = xml.indexOf(close, from);
    if (end === -1) break;
    found.push(xml.slice(from + open.length, end));
    from = end + close.length;
  }
  return found;
}

/** The text of the first element of this name; "" if there is none. */
export function textIn(xml: string, name: string): string {
  const [first = ""] = elements(xml, name);
  return unescaped(first).trim();
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

export function unescaped(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([\da-fA-F]{1,6})|([a-z]{2,4}));/g,
    (all, ten, hex, named) => {
      if (named !== undefined) return ENTITIES[named] ?? all;
      const point = ten === undefined ? Number.parseInt(hex, 16) : Number(ten);
      return point <= 0x10ffff ? String.fromCodePoint(point) : all;
    },
  );
}
