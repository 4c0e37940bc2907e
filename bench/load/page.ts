// A page of many objects over a new connection, by the runtime's client, which speaks HTTP/2 and HTTP/3. Prints how long it took,
// in milliseconds. Started by bad-link.ts: bun page.ts h2|h3 URL OBJECTS BYTES

const [protocol, url, objects, bytes] = process.argv.slice(2) as [string, string, string, string];
const options = { protocol, tls: { rejectUnauthorized: false } } as RequestInit;

async function get(path: string): Promise<void> {
  const answer = await fetch(`${url}/${path}`, options);
  const { byteLength } = await answer.arrayBuffer();
  if (answer.status !== 200 || byteLength !== Number(bytes)) throw new Error(`${answer.status}`);
}

const begin = performance.now();
await get("page");
await Promise.all(Array.from({ length: Number(objects) - 1 }, (_, i) => get(String(i))));
console.log(performance.now() - begin);
process.exit(0); // its connection would be kept for the next request
