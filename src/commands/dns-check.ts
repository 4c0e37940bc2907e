// `proxy dns-check`: writes a random TXT record for each domain as dns-01 does, looks it up at the zone's servers, and removes
// it, so that credentials can be tried before a certificate is ordered. It is removed also after a failure and after Ctrl-C.

import { randomBytes } from "node:crypto";

import { defineCommand } from "citty";

import { type Dns01Options, Dns01Solver, type Dns01Step } from "../control/acme/dns-01.ts";
import type { ChallengeTask } from "../control/acme/solver.ts";
import { formatSight, type Visibility } from "../control/dns/propagation.ts";
import { createDnsProvider } from "../control/dns/providers/create.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { DNS_CHECK_ARGS, type DnsCheckSettings, dnsCheckSettings } from "./dns-check-flags.ts";
import { STOP, watchStopSignals } from "./stop.ts";
import { print, type Style, styleFor } from "./terminal.ts";

export const dnsCheck = defineCommand({
  meta: {
    name: "dns-check",
    description: "write, look up and remove a TXT record, to try a DNS provider's credentials",
  },
  args: DNS_CHECK_ARGS,
  run: async ({ args }): Promise<number> => {
    const settings = await dnsCheckSettings(args);
    await createDnsProvider(settings.plan); // what is missing is told before anything is asked
    return checkDomains(settings);
  },
});

/** For tests: a provider, and servers of zones, that are theirs. */
export type DnsCheckOptions = Pick<Dns01Options, "makeProvider" | "timing">;

/** @returns the exit code. */
export async function checkDomains(
  { plan, domains }: DnsCheckSettings,
  options: DnsCheckOptions = {},
): Promise<number> {
  const signals = watchStopSignals([...STOP, "SIGHUP"]);
  const stop = new AbortController();
  void signals.first.then((signal) =>
    stop.abort(new ProxyError("ERR_STATE", `stopped by ${signal}`)),
  );
  const report = new Report(styleFor(process.stdout));
  const solver = new Dns01Solver({ ...options, plan, tell: (_, step) => report.step(step) });
  void signals.second.then(() => process.exit(report.abandon()));
  const failed: string[] = [];
  for (const domain of domains) {
    if (stop.signal.aborted) break;
    report.begin(domain);
    if (!(await checkDomain(solver, domain, report, stop.signal))) failed.push(domain);
    await report.written();
  }
  signals.release();
  if (failed.length === 0 && !stop.signal.aborted) return 0;
  const which = stop.signal.aborted
    ? messageOf(stop.signal.reason)
    : `failed: ${failed.join(", ")}`;
  throw new ProxyError("ERR_CHALLENGE", `dns-check with ${plan.provider} ${which}`);
}

async function checkDomain(
  solver: Dns01Solver,
  domain: string,
  report: Report,
  signal: AbortSignal,
): Promise<boolean> {
  const token = randomBytes(32).toString("base64url");
  const task: ChallengeTask = { domain, token, keyAuthorization: `${token}.dns-check` };
  let succeeded = true;
  const attempt = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      succeeded = false;
      report.failure(error);
    }
  };
  await attempt(() => solver.present(task, signal));
  await attempt(() => solver.withdraw(task));
  return succeeded;
}

/** Lines with the time since their domain was begun. */
class Report {
  readonly #style: Style;
  #startMs = 0;
  #written: Promise<void> = Promise.resolve();
  /** What has to be removed by hand if the process ends now. */
  #there: string | null = null;

  constructor(style: Style) {
    this.#style = style;
  }

  begin(domain: string): void {
    this.#startMs = performance.now();
    this.#print(this.#style.bold(domain));
  }

  step(step: Dns01Step): void {
    switch (step.kind) {
      case "located": {
        const { name, zone, aliases } = step.place;
        for (const alias of aliases) this.#line(`${alias} is a CNAME, which is followed`);
        const servers = zone.servers.map((server) => server.name).join(", ");
        return this.#line(`${name} is in the zone ${zone.name}, served by ${servers}`);
      }
      case "written": {
        const { name, value, zone } = step.record;
        this.#there = `the TXT record ${name} with the value "${value}" in the zone ${zone}`;
        return this.#line(`written: ${name} TXT "${value}"`);
      }
      case "seen":
        return this.#line(`${formatSight(step.sight)} ${step.sight.detail}`);
      case "visible":
        return this.#visible(step.visibility);
      case "removed":
        this.#there = null;
        return this.#line("removed");
      case "remove-failed":
        return this.#line(`not removed: ${step.reason}`);
      case "unknown":
        return this.#line(`whether it was written cannot be looked up: ${step.reason}`);
      default:
        return step satisfies never;
    }
  }

  #visible({ isSeen, givenUp }: Visibility): void {
    if (!isSeen) {
      this.#line("no server of the zone can be asked from here: is port 53 closed, UDP and TCP?");
      return this.#line("an order would go on, since the provider has taken the record");
    }
    for (const sight of givenUp) {
      this.#line(`${formatSight(sight)} is left out, since the others have it: ${sight.detail}`);
    }
    this.#line(this.#style.green("visible at the zone's servers"));
  }

  failure(error: ProxyError): void {
    this.#line(`failed: ${error.message}`);
  }

  /** When a second signal wants the end at once. @returns the exit code. */
  abandon(): number {
    if (this.#there !== null)
      console.error(`proxy: ${this.#there} stays behind. Remove it by hand`);
    return 1;
  }

  /** @throws ProxyError ERR_SYSTEM if something could not be. */
  written(): Promise<void> {
    return this.#written;
  }

  #line(text: string): void {
    this.#print(`${this.#style.dim(elapsed(performance.now() - this.#startMs))}  ${text}`);
  }

  #print(line: string): void {
    const written = this.#written.then(() => print(line));
    written.catch(() => {}); // told by written()
    this.#written = written;
  }
}

/** `   820 ms`, `   12.3 s`. */
function elapsed(ms: number): string {
  const text = ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
  return text.padStart(9);
}
