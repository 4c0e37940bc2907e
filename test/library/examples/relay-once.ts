// An example, run as a program: takes one client, connects it with a target, and ends by itself when both are done.
//
//   bun relay-once.ts 127.0.0.1:80
import { dial, forward, listen } from "bun-tunnel";

const listener = await listen("127.0.0.1:0");
process.stdout.write(`${listener.addr}\n`);
const client = await listener.accept();
await listener.close();
if (client !== null) {
  const target = await dial(process.argv[2] ?? "");
  process.stdout.write(`${JSON.stringify(await forward(client, target))}\n`);
}
