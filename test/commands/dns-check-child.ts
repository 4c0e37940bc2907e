// What `proxy dns-check` does, in a DNS of the tests: Cloudflare's client and a server with its API, whose records are what the
// DNS servers answer. Started by dns-check.test.ts; the first argument says what goes wrong, the others are domains. At the end
// it says what was left behind.

import { checkDomains } from "../../src/commands/dns-check.ts";
import { compileDns01 } from "../../src/control/compile/auto-tls.ts";
import { createDnsProvider } from "../../src/control/dns/providers/create.ts";
import { messageOf } from "../../src/shared/errors.ts";
import { FakeCloudflare } from "../support/dns-apis/cloudflare.ts";
import { DnsWorld } from "../support/dns-world.ts";

const [mode, ...domains] = process.argv.slice(2);

await using world = await DnsWorld.start(2);
world.zone("example.test", [1, 2]);
world.zone("other.test", [1, 2]);
world.zone("alias.test", [1, 2]);
world.add("alias.test", "_acme-challenge.alias.test", "CNAME", "x.example.test");

await using api = new FakeCloudflare();
const account = ["example.test", "other.test"].map((name) => api.zone(name));

const plan = {
  ...compileDns01({ dns_provider: "cloudflare" })!,
  resolvers: world.endpoints,
  ...(mode === "late" ? { propagationTimeoutMs: 20 } : {}),
};
if (mode === "down") world.server(2).behaviour.rcode = "REFUSED";
if (mode === "closed") for (const number of [1, 2]) world.server(number).behaviour.lame = true;
if (mode === "stays") {
  api.mishap = ({ method }) => (method === "DELETE" ? api.fault(400, "not today") : null);
}
if (mode === "hangs") api.mishap = ({ method }) => (method === "DELETE" ? "hang" : null);
if (mode !== "late" && mode !== "unseen") {
  for (const number of [1, 2]) world.server(number).refresh = publish;
}

/** What the API has is what the zones have. */
function publish(): void {
  for (const { name, records } of account) {
    for (const copy of world.copies(name)) {
      copy.records.splice(0, Infinity, ...copy.records.filter(({ type }) => type !== "TXT"));
      for (const record of records) copy.add(record.name, "TXT", record.value);
    }
  }
}

const environment = mode === "denied" ? api.wrongEnvironment : api.environment;
const timing = { port: world.port, lookFirstMs: 5, tryMs: 10_000, removeRetryMs: 5, unseenMs: 50 };
try {
  process.exitCode = await checkDomains(
    { plan, domains },
    {
      timing,
      makeProvider: (of) => createDnsProvider(of, environment, { endpoint: api.endpoint }),
    },
  );
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`proxy: ${messageOf(error)}\n`);
}
const left = account.flatMap(({ records }) => records.map(({ name }) => name));
process.stderr.write(`left behind: ${left.join(", ") || "nothing"}\n`);
