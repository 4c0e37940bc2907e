// Names of the DNS (RFC 1035 section 3.1) as text: lower case, absolute, without the last dot; the root is "". What could be
// taken for a dot or cannot be printed is escaped (section 5.1), so that a text is one name and no other. Pure.

/** RFC 1035 section 2.3.4. */
const LABEL_MAX_BYTES = 63;
export const NAME_MAX_BYTES = 255;

const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** The same name in one spelling. Upper case and lower case are the same (RFC 4343). */
export function normalName(name: string): string {
  return name.replace(/(?<!\\)\.$/, "").replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** One label as text, from its bytes. */
export function labelText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (byte === DOT || byte === BACKSLASH) text += `\\${String.fromCharCode(byte)}`;
    else if (byte <= 0x20 || byte >= 0x7f) text += `\\${String(byte).padStart(3, "0")}`;
    else if (byte >= 0x41 && byte <= 0x5a) text += String.fromCharCode(byte + 0x20);
    else text += String.fromCharCode(byte);
  }
  return text;
}

/** @returns the name without its first label; of a name with one label, and of the root: "". */
export function parentName(name: string): string {
  const [, parent = ""] = /^(?:[^.\\]|\\[^\d]|\\\d{3})+\.(.*)$/s.exec(name) ?? [];
  return parent;
}

/** Whether a name is in the zone or is its apex. */
export function isWithin(name: string, zone: string): boolean {
  for (let each = name; ; each = parentName(each)) {
    if (each === zone) return true;
    if (each === "") return false;
  }
}

/** As in a message, uncompressed. @returns null if it is too long, or has an empty label. */
export function encodeName(name: string): Uint8Array | null {
  const out: number[] = [];
  let label: number[] = [];
  const endLabel = (): boolean => {
    if (label.length === 0 || label.length > LABEL_MAX_BYTES) return false;
    out.push(label.length, ...label);
    label = [];
    return out.length < NAME_MAX_BYTES;
  };
  const pieces = normalName(name).matchAll(/\\(\d{3})|\\([^\d])|(\.)|([\x21-\x7e])|(.)/gs);
  for (const [, decimal, escaped, dot, plain] of pieces) {
    if (decimal !== undefined && Number(decimal) < 256) label.push(Number(decimal));
    else if (escaped !== undefined && escaped < "\x7f") label.push(escaped.charCodeAt(0));
    else if (plain !== undefined && plain !== "\\") label.push(plain.charCodeAt(0));
    else if (dot === undefined || !endLabel()) return null;
  }
  if (normalName(name) !== "" && !endLabel()) return null;
  out.push(0);
  return new Uint8Array(out);
}
