// Asks a proxy of its own at one address of this machine after another, and prints from which address each answer came. Run by
// addresses.test.ts in a network namespace that it prepares.

import { Datagrams, UdpRelay } from "../../support/udp.ts";

await using target = await Datagrams.echo();
await using relay = await UdpRelay.start({ listen: ":0", targets: [target.target] });
const answered: string[] = [];
for (const host of process.argv.slice(2)) {
  await using client = await Datagrams.open(host.includes(":") ? "::" : "0.0.0.0");
  const { from } = await client.ask("which?", { host, port: relay.bound.port });
  answered.push(from.host);
}
process.stdout.write(answered.join(" "));
