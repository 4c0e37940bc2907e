// When a request is whole, and what its chunks say, by readers that know nothing of the codec under test: for what the cases
// let through.

export function isWhole(sent: string): boolean {
  const end = sent.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = sent.slice(0, end);
  const body = sent.slice(end + 4);
  if (/^Transfer-Encoding:/im.test(head)) return /(^|\r\n)0\r\n([^\r\n]+\r\n)*\r\n$/.test(body);
  const length = Number(/^Content-Length: (\d+)$/im.exec(head)?.[1] ?? 0);
  return body.length === length;
}

const CHUNK = /^([0-9a-f]+)\r\n/i;

/** Pieces cut chunks into more of them: what matters is what they say. */
export function joinChunks(message: string): string {
  const end = message.indexOf("\r\n\r\n") + 4;
  if (!/^Transfer-Encoding: chunked$/im.test(message.slice(0, end))) return message;
  let rest = message.slice(end);
  let content = "";
  for (let match = CHUNK.exec(rest); match !== null; match = CHUNK.exec(rest)) {
    const size = Number.parseInt(match[1]!, 16);
    if (size === 0) break;
    content += rest.slice(match[0].length, match[0].length + size);
    rest = rest.slice(match[0].length + size + 2);
  }
  return `${message.slice(0, end)}[${content}]${rest}`;
}
