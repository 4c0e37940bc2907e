// The subject of a client's certificate as the value of a field. Its text (RFC 4514) may hold anything that a certificate
// authority has signed; in the field it is visible ASCII, with `\` and two hexadecimal digits for every other byte, as section
// 2.4 of that document has it: who reads it gets the same subject.

/** @param subject as in RFC 4514. */
export function subjectValue(subject: string): Uint8Array {
  const out: number[] = [];
  const bytes = new TextEncoder().encode(subject);
  bytes.forEach((byte, i) => {
    const outer = i === 0 || i === bytes.length - 1;
    if (byte > 0x20 && byte < 0x7f) out.push(byte);
    else if (byte === 0x20 && !outer) out.push(byte);
    else out.push(...Buffer.from(`\\${byte.toString(16).toUpperCase().padStart(2, "0")}`));
  });
  return Uint8Array.from(out);
}
