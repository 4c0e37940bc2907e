// Asks a server in a network that this machine has no route to, and prints what comes of it. Started by exchange.test.ts in a
// network namespace with nothing but loopback.

import { ask } from "../../../src/control/dns/exchange.ts";

const server = { host: "2001:db8::53", port: 53 };
const question = { name: "example.com", type: "SOA" } as const;
const reply = await ask(server, question, { recursive: false }, new AbortController().signal);
process.stdout.write(JSON.stringify(reply));
