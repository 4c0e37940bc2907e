// The solver dns-01 with a provider that writes into real DNS servers: what is written where, and that it is removed however
// the challenge ends.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";

import {
  Dns01Solver,
  type Dns01Step,
  dns01Value,
  logDns01Steps,
  type TellStep,
} from "../../../src/control/acme/dns-01.ts";
import type { ChallengeTask } from "../../../src/control/acme/solver.ts";
import type { Dns01Plan } from "../../../src/shared/auto-tls-plan.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import { DnsWorld, WorldProvider } from "../../support/dns-world.ts";
import { LogLines } from "../../support/log-lines.ts";
import { until } from "../../support/until.ts";

const ORIGIN = "example.test";
const NAME = `_acme-challenge.${ORIGIN}`;
const NEVER = new AbortController().signal;

let world: DnsWorld;
let provider: WorldProvider;
let steps: string[];

beforeEach(async () => {
  world = await DnsWorld.start(3);
  world.zone(ORIGIN, [1, 2]);
  provider = new WorldProvider(world, ORIGIN);
  steps = [];
});
afterEach(() => world[Symbol.asyncDispose]());

function task(token: string, domain = ORIGIN): ChallengeTask {
  return { domain, token, keyAuthorization: `${token}.thumbprint` };
}

function plan(more: Partial<Dns01Plan> = {}): Dns01Plan {
  return {
    provider: "cloudflare",
    credentialFiles: {},
    resolvers: world.endpoints,
    propagationTimeoutMs: 30_000,
    propagationDelayMs: 0,
    ttlSeconds: 60,
    ...more,
  };
}

const note: TellStep = (domain, step) => steps.push(`${domain} ${describeStep(step)}`);

function describeStep(step: Dns01Step): string {
  switch (step.kind) {
    case "located":
      return `located ${step.place.name}`;
    case "written":
    case "removed":
      return `${step.kind} ${step.record.name}`;
    case "seen":
      return `${step.sight.state} ${step.sight.server}`;
    default:
      return step.kind;
  }
}

function solver(more: Partial<Dns01Plan> = {}, tell: TellStep = note): Dns01Solver {
  return new Dns01Solver({
    plan: plan(more),
    tell,
    makeProvider: async () => provider,
    timing: { port: world.port, lookFirstMs: 5, tryMs: 10_000, removeRetryMs: 1, unseenMs: 30 },
  });
}

function valuesAt(name = NAME, origin = ORIGIN): string[][] {
  return world.copies(origin).map((copy) => copy.values(name, "TXT"));
}

test("the value is the digest of the key authorization (RFC 8555 section 8.4)", () => {
  // printf %s evaGxfADs.xyz | openssl dgst -sha256 -binary | basenc --base64url | tr -d =
  expect(dns01Value("evaGxfADs.xyz")).toBe("vjYLqYWMBs-KPrI8fMCz-n8krCb73tLOr98LNg3uur0");
});

describe("which names fit", () => {
  test("names of the DNS, wildcards too", () => {
    expect(solver().unfit("example.com")).toBeNull();
    expect(solver().unfit("*.example.com")).toBeNull();
  });

  test.each(["192.0.2.1", "2001:db8::1"])("no address: %s", (address) => {
    expect(solver().unfit(address)).toContain(`${address} is an address`);
  });

  test("none without a provider", async () => {
    const without = new Dns01Solver({ plan: null, tell: note });
    expect(without.unfit("example.com")).toContain("no dns_provider is configured. Set");
    await expect(without.present(task("t"), NEVER)).rejects.toMatchObject({
      code: "ERR_CHALLENGE",
      message: expect.stringContaining(`${ORIGIN} cannot be proven by dns-01: no dns_provider`),
    });
    await without.withdraw(task("t"));
  });
});

test("a record is written, waited for at all servers of the zone, and removed", async () => {
  const dns = solver();
  await dns.present(task("t"), NEVER);
  const value = dns01Value("t.thumbprint");
  expect(valuesAt()).toEqual([[value], [value]]);
  expect(provider.calls).toEqual([`add ${NAME} 60`]);
  await dns.withdraw(task("t"));
  expect(valuesAt()).toEqual([[], []]);
  expect([steps.slice(0, 2), steps.slice(2, 4).toSorted(), steps.slice(4)]).toEqual([
    [`${ORIGIN} located ${NAME}`, `${ORIGIN} written ${NAME}`],
    [`${ORIGIN} present ns1.hosts.test`, `${ORIGIN} present ns2.hosts.test`],
    [`${ORIGIN} visible`, `${ORIGIN} removed ${NAME}`],
  ]);
});

test("it is not presented before the last server has it", async () => {
  provider.sees = (zone) => zone === world.copy(ORIGIN, 1);
  const dns = solver();
  let done = false;
  const presented = dns.present(task("t"), NEVER).then(() => (done = true));
  await until("several looks", () => world.server(2).asked(NAME, "TXT").length >= 3);
  expect(done).toBe(false);
  world.copy(ORIGIN, 2).add(NAME, "TXT", dns01Value("t.thumbprint"));
  await presented;
  await dns.withdraw(task("t"));
});

test("a domain and its wildcard have two values at one name at once", async () => {
  const dns = solver();
  world.add(ORIGIN, NAME, "TXT", "somebody else's");
  await Promise.all([dns.present(task("a"), NEVER), dns.present(task("b"), NEVER)]);
  const values = [dns01Value("a.thumbprint"), dns01Value("b.thumbprint")];
  expect(valuesAt()[0]!.toSorted()).toEqual(["somebody else's", ...values].toSorted());
  await dns.withdraw(task("a"));
  expect(valuesAt()).toEqual([
    ["somebody else's", values[1]!],
    ["somebody else's", values[1]!],
  ]);
  await dns.withdraw(task("b"));
  expect(valuesAt()).toEqual([["somebody else's"], ["somebody else's"]]);
});

test("a record goes to where a CNAME leads, into the zone that is there", async () => {
  world.zone("delegated.test", [3]);
  world.add(ORIGIN, NAME, "CNAME", "x.acme.delegated.test");
  provider = new WorldProvider(world, "delegated.test");
  const dns = solver();
  await dns.present(task("t"), NEVER);
  expect(valuesAt("x.acme.delegated.test", "delegated.test")).toEqual([
    [dns01Value("t.thumbprint")],
  ]);
  expect(valuesAt()).toEqual([[], []]);
  await dns.withdraw(task("t"));
  expect(valuesAt("x.acme.delegated.test", "delegated.test")).toEqual([[]]);
});

describe("what fails names the domain, and is removed", () => {
  test("a zone that the provider does not have: nothing is written", async () => {
    provider = new WorldProvider(world, "other.test");
    const dns = solver();
    await expect(dns.present(task("t"), NEVER)).rejects.toMatchObject({
      code: "ERR_CHALLENGE",
      message:
        `${ORIGIN} cannot be proven by dns-01 with cloudflare: ` +
        `Cloudflare has no zone for ${NAME}. Add the zone to the account`,
    });
    await dns.withdraw(task("t"));
    expect(steps).toEqual([`${ORIGIN} located ${NAME}`]);
  });

  test("credentials that are missing: nothing is asked", async () => {
    const dns = new Dns01Solver({
      plan: plan(),
      tell: note,
      makeProvider: () => Promise.reject(new ProxyError("ERR_CONFIG", "no token")),
    });
    await expect(dns.present(task("t"), NEVER)).rejects.toThrow("with cloudflare: no token");
    await dns.withdraw(task("t"));
    expect(steps).toEqual([]);
  });

  test("a domain that is in no zone: nothing is written", async () => {
    const dns = solver();
    await expect(dns.present(task("t", "nowhere.invalid"), NEVER)).rejects.toThrow(
      "nowhere.invalid cannot be proven by dns-01 with cloudflare",
    );
    await dns.withdraw(task("t", "nowhere.invalid"));
    expect(provider.calls).toEqual([]);
  });

  test("a record that is not seen in time", async () => {
    provider.sees = (zone) => zone === world.copy(ORIGIN, 1);
    const dns = solver({ propagationTimeoutMs: 20 });
    await expect(dns.present(task("t"), NEVER)).rejects.toThrow("does not have it (NXDOMAIN)");
    expect(valuesAt()[0]).toHaveLength(1);
    await dns.withdraw(task("t"));
    expect(valuesAt()).toEqual([[], []]);
  });

  test("an add that was carried out but did not say so", async () => {
    provider.after = (call) => {
      if (call === "add") throw new ProxyError("ERR_DNS_PROVIDER", "the connection was reset");
    };
    const dns = solver();
    await expect(dns.present(task("t"), NEVER)).rejects.toThrow("the connection was reset");
    expect(valuesAt()[0]).toHaveLength(1);
    await dns.withdraw(task("t"));
    expect(valuesAt()).toEqual([[], []]);
  });
});

test("an add of which nobody can tell whether it was carried out is told of", async () => {
  provider.before = (call) => {
    throw new ProxyError("ERR_DNS_PROVIDER", `${call}: the connection was reset`);
  };
  const dns = solver();
  await expect(dns.present(task("t"), NEVER)).rejects.toThrow("add: the connection was reset");
  await dns.withdraw(task("t"));
  expect(steps).toEqual([`${ORIGIN} located ${NAME}`, `${ORIGIN} unknown`]);
});

describe("an abort ends it with its reason, and the record is removed", () => {
  test("while it is waited for", async () => {
    provider.sees = () => false;
    const stop = new AbortController();
    const dns = solver();
    const presented = dns.present(task("t"), stop.signal);
    await until("looks", () => world.server(1).asked(NAME, "TXT").length >= 2);
    stop.abort(new Error("enough"));
    await expect(presented).rejects.toThrow("enough");
    await dns.withdraw(task("t"));
    expect(provider.calls).toEqual([`add ${NAME} 60`, `remove ${NAME}`]);
  });

  test("while it is written, and the API carries it out all the same", async () => {
    const stop = new AbortController();
    const written = Promise.withResolvers<void>();
    provider.after = async (call, signal) => {
      if (call !== "add") return;
      written.resolve();
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    };
    const dns = solver();
    const presented = dns.present(task("t"), stop.signal);
    await written.promise;
    stop.abort(new Error("enough"));
    await expect(presented).rejects.toThrow("enough");
    expect(valuesAt()[0]).toHaveLength(1);
    await dns.withdraw(task("t"));
    expect(valuesAt()).toEqual([[], []]);
  });

  test("before it begins: nothing is written", async () => {
    const dns = solver();
    await expect(dns.present(task("t"), AbortSignal.abort(new Error("enough")))).rejects.toThrow(
      "enough",
    );
    await dns.withdraw(task("t"));
    expect(provider.calls).toEqual([]);
  });
});

describe("removing", () => {
  test("is tried again", async () => {
    const dns = solver();
    await dns.present(task("t"), NEVER);
    let failures = 2;
    provider.before = () => {
      if (failures-- > 0) throw new ProxyError("ERR_DNS_PROVIDER", "busy");
    };
    await dns.withdraw(task("t"));
    expect(valuesAt()).toEqual([[], []]);
    expect(steps.slice(-3)).toEqual([
      `${ORIGIN} remove-failed`,
      `${ORIGIN} remove-failed`,
      `${ORIGIN} removed ${NAME}`,
    ]);
  });

  test("that fails for good says what stays where", async () => {
    const dns = solver();
    await dns.present(task("t"), NEVER);
    provider.before = () => {
      throw new ProxyError("ERR_DNS_PROVIDER", "Cloudflare: not allowed");
    };
    await expect(dns.withdraw(task("t"))).rejects.toMatchObject({
      code: "ERR_CHALLENGE",
      message:
        `the TXT record ${NAME} with the value "${dns01Value("t.thumbprint")}" stays behind in the zone ` +
        `${ORIGIN} of cloudflare: Cloudflare: not allowed. Remove that value by hand; it does no harm until then`,
    });
    expect(provider.calls.filter((call) => call.startsWith("remove"))).toHaveLength(4);
  });

  test("is done once", async () => {
    const dns = solver();
    await dns.present(task("t"), NEVER);
    await dns.withdraw(task("t"));
    await dns.withdraw(task("t"));
    expect(provider.calls).toEqual([`add ${NAME} 60`, `remove ${NAME}`]);
  });
});

test("the log warns where no server of the zone can be asked", async () => {
  for (const number of [1, 2]) world.server(number).behaviour.lame = true;
  const { log, lines } = new LogLines();
  const dns = solver({}, logDns01Steps(log));
  await dns.present(task("t"), NEVER);
  await dns.withdraw(task("t"));
  const warnings = lines.filter(({ level }) => level === "warn");
  expect(warnings.map(({ message }) => message.split(",")[0])).toEqual([
    "no DNS server of the zone can be asked",
    "no DNS server of the zone can be asked",
  ]);
});

test("the log warns of a server that does not work, and of what could not be removed", async () => {
  world.server(2).behaviour.rcode = "REFUSED";
  const { log, lines } = new LogLines();
  const dns = solver({}, logDns01Steps(log));
  await dns.present(task("t"), NEVER);
  let failed = false;
  provider.before = () => {
    if (!failed) {
      failed = true;
      throw new ProxyError("ERR_DNS_PROVIDER", "busy");
    }
  };
  await dns.withdraw(task("t"));
  const server = `ns2.hosts.test (127.0.0.3:${world.port})`;
  expect(lines.filter(({ level }) => level === "warn")).toMatchObject([
    {
      message: "a DNS server of the zone does not work, the others have the record",
      fields: { domain: ORIGIN, server, reason: "REFUSED" },
    },
    {
      message: "a dns-01 record could not be removed",
      fields: { domain: ORIGIN, record: NAME, reason: "busy" },
    },
  ]);
  expect(lines.filter(({ level }) => level === "debug").map(({ message }) => message)).toContain(
    "dns-01 record removed",
  );
});
