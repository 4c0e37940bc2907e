// Checks between the keys of auto_tls, and between them and the listeners: who could sign a name, how it could be proven, and no
// key without effect. Called by relations.ts.

import type { ChallengeType } from "../shared/auto-tls-plan.ts";
import { isAddress, isWildcard } from "../shared/certificate-names.ts";
import { credentialNames } from "../shared/dns-credentials.ts";
import { isInternalName } from "../shared/internal-names.ts";
import { INTERNAL } from "./auto-tls-fields.ts";
import {
  asksAuthorities,
  authoritiesIn,
  type AutoTlsGiven,
  autoTlsOf,
  certificatesIn,
  challengesIn,
  entriesOf,
  isKnownAuthority,
  isSignedHere,
  portOf,
  portUse,
  showsManaged,
  signsInternally,
} from "./auto-tls.ts";
import { suggest } from "./nearest.ts";
import type { Report } from "./problems.ts";
import type { AutoTlsConfig } from "./schema-auto-tls.ts";
import type { Config } from "./schema.ts";

export function checkAutoTls(config: Config, report: Report): void {
  checkForms(config, report);
  const given = autoTlsOf(config);
  if (given === null) return;
  if (!config.protocols.some(showsManaged)) {
    const those = "It is for tls, http2, http3 and quic without certificates of their own";
    const long = config.auto_tls !== undefined;
    report(
      long ? ["auto_tls"] : ["options", "auto_tls"],
      `has no effect: no listener would show what is obtained. ${those}`,
      "key",
    );
  }
  checkNames(given, report);
  checkOnDemand(given, report);
  checkAuthorities(given, report);
  if (asksAuthorities(given.settings)) checkChallenges(given, config.protocols, report);
  else checkInternalOnly(given, report);
}

/** The short form says nothing beside the long one, and nothing without its switch. */
function checkForms({ auto_tls: long, options = {} }: Config, report: Report): void {
  const { auto_tls: on, ...others } = options;
  if (long !== undefined && on === true) {
    report(["options", "auto_tls"], "says again what auto_tls says. Remove one of the two");
  }
  if (on !== undefined) return; // switched off, they wait
  for (const [key, value] of Object.entries(others)) {
    if (value === undefined || value === false) continue;
    report(["options", key], 'has no effect without auto_tls: "true" beside it', "key");
  }
}

function checkNames({ settings, at }: AutoTlsGiven, report: Report): void {
  if (settings.domains === undefined && settings.on_demand === undefined) {
    const example = at("domains")[0] === "options" ? '"example.com"' : "[example.com]";
    report(at("domains"), `is missing. Write domains: ${example}`);
  }
  const seen = new Set<string>();
  certificatesIn(settings).forEach((names, i) => {
    const place = (k: number) =>
      typeof settings.domains![i] === "string" ? at("domains", i) : at("domains", i, k);
    const signers = new Set(names.map((name) => isSignedHere(name, settings)));
    if (signers.size > 1) {
      const odd = names.find((name) => isSignedHere(name, settings))!;
      const message = `${odd} can only be signed by this machine, and others of this certificate by an authority`;
      report(at("domains", i), `${message}. Write it as an entry of its own`);
    }
    names.forEach((name, k) => {
      const fault = seen.has(name) ? `"${name}" stands here twice` : nameFault(name, settings);
      seen.add(name);
      if (fault !== null) report(place(k), fault);
    });
  });
}

/** Why nobody would sign it. */
function nameFault(name: string, settings: AutoTlsConfig): string | null {
  if (isSignedHere(name, settings)) return null;
  const authorities = authoritiesIn(settings).map(({ url }) => url);
  const whoever = authorities.join(" and ");
  if (isWildcard(name) && !name.slice("*.".length).includes(".")) {
    return `"${name}" is a wildcard for a whole top-level domain, which nobody signs`;
  }
  if (isInternalName(name) && authorities.every(isKnownAuthority)) {
    const what = isAddress(name) ? "address of the public Internet" : "name of the public DNS";
    const cure = `Write ca: [${authorities.join(", ")}, ${INTERNAL}], or ca: ${INTERNAL}`;
    return `"${name}" is no ${what}: ${whoever} cannot sign it. ${cure}`;
  }
  const challenges = entriesOf(settings.challenge ?? "auto");
  if (isAddress(name) && challenges.every((type) => type === "dns-01")) {
    return `"${name}" is an address, which dns-01 cannot prove. Write challenge: [dns-01, http-01]`;
  }
  if (!isWildcard(name)) return null;
  if (settings.dns_provider !== undefined) return null; // what challenge says besides is told of where it stands
  return `"${name}" is a wildcard, which only dns-01 proves. Write dns_provider: cloudflare, or whoever serves its DNS`;
}

function checkOnDemand({ settings, at }: AutoTlsGiven, report: Report): void {
  const { on_demand: given } = settings;
  given?.domains?.forEach((name, i) => {
    // Each name gets a certificate of its own: what could sign one that fits is enough.
    const fault = isWildcard(name)
      ? nameFault(`any${name.slice(1)}`, settings)
      : nameFault(name, settings);
    if (fault !== null) report(at("on_demand", "domains", i), fault);
  });
  if (given === undefined || given.ask !== undefined || given.domains !== undefined) return;
  const cure = 'Write ask: http://127.0.0.1:9000/allowed, or domains: ["*.example.com"]';
  report(at("on_demand"), `says nothing of who may have a certificate, so anybody could. ${cure}`);
}

/** A file of a name that its provider does not read would be opened by nobody. */
function checkCredentials({ settings, at }: AutoTlsGiven, report: Report): void {
  const { dns_provider, dns } = settings;
  if (dns_provider === undefined) return;
  const known = credentialNames(dns_provider);
  for (const name of Object.keys(dns?.credentials ?? {})) {
    if (known.includes(name)) continue;
    const cure = suggest(name, known, "");
    report(at("dns", "credentials", name), `is no credential of ${dns_provider}. ${cure}`, "key");
  }
}

/** Where the terms are that `agree_terms` agrees to. */
const TERMS: Readonly<Record<string, string>> = {
  letsencrypt: "https://letsencrypt.org/repository/",
  "letsencrypt-staging": "https://letsencrypt.org/repository/",
  zerossl: "https://zerossl.com/terms/",
};

function checkAuthorities({ settings, at }: AutoTlsGiven, report: Report): void {
  const several = Array.isArray(settings.ca);
  const entries = entriesOf(settings.ca ?? []);
  const hosts: string[] = [];
  entries.forEach((entry, i) => {
    const place = (...below: string[]) => at("ca", ...(several ? [i] : []), ...below);
    const url = typeof entry === "string" ? entry : entry.url;
    const host = authorityName(url);
    if (hosts.includes(host)) report(place(), `${host} stands here twice`);
    hosts.push(host);
    if (typeof entry === "string" || entry.eab === undefined || !url.startsWith("letsencrypt"))
      return;
    report(place("eab"), `has no effect: ${url} has no external accounts`, "key");
  });
  if (!asksAuthorities(settings)) return;
  const asked = authoritiesIn(settings);
  if (settings.agree_terms !== true) {
    const terms = [
      ...new Set(asked.map(({ url }) => TERMS[url] ?? `those of ${authorityName(url)}`)),
    ];
    const what = settings.agree_terms === false ? "is false" : "is missing";
    report(
      at("agree_terms"),
      `${what}. Read the terms (${terms.join(", ")}) and write agree_terms: true`,
    );
  }
  asked.forEach(({ url, email = settings.email, eab }) => {
    if (url !== "zerossl" || email !== undefined || eab !== undefined) return;
    report(
      at("email"),
      "is missing: zerossl makes accounts for an address. Write email: admin@example.com",
    );
  });
}

/** For people and for folders: `letsencrypt`, or the host of a URL. */
export function authorityName(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

function checkChallenges(
  { settings, at }: AutoTlsGiven,
  protocols: Config["protocols"],
  report: Report,
): void {
  const { challenge, dns_provider, dns } = settings;
  const given = entriesOf(challenge ?? "auto");
  const place = (type: string) =>
    Array.isArray(challenge) ? at("challenge", given.indexOf(type as never)) : at("challenge");
  const twice = given.find((type, i) => given.indexOf(type) !== i);
  if (twice !== undefined) report(at("challenge"), `${twice} stands here twice`);
  if (given.length > 1 && given.includes("auto")) {
    report(place("auto"), "means all of them, and stands alone. Write auto, or remove it");
  }
  const byDns = given.includes("auto") || given.includes("dns-01");
  if (given.includes("dns-01") && dns_provider === undefined) {
    report(
      place("dns-01"),
      "dns-01 needs dns_provider: cloudflare, or whoever serves the names' DNS",
    );
  }
  if (dns_provider !== undefined && !byDns) {
    report(
      at("dns_provider"),
      `has no effect with challenge: ${given.join(", ")}. Add dns-01`,
      "key",
    );
  }
  if (dns !== undefined && dns_provider === undefined) {
    report(at("dns"), "has no effect without dns_provider", "key");
  }
  checkCredentials({ settings, at }, report);
  if ((dns?.ttl ?? 0) % 1_000 !== 0) report(at("dns", "ttl"), "is not a whole number of seconds");
  checkPorts({ settings, at }, given, report);
  const ways = challengesIn(settings, protocols);
  for (const type of given) {
    if (type === "auto" || type === "dns-01") continue;
    if (portUse(type, portOf(type, settings), protocols) !== "taken") continue;
    report(place(type), takenBy(type, settings));
  }
  if (ways.length > 0) return;
  const both = (["http-01", "tls-alpn-01"] as const).map((type) => takenBy(type, settings));
  report(at("domains"), `cannot be proven: ${both.join("; ")}. Or write dns_provider: cloudflare`);
}

function takenBy(type: "http-01" | "tls-alpn-01", settings: AutoTlsConfig): string {
  const which = type === "http-01" ? "http" : "tls, http2 or http3";
  const key = type === "http-01" ? "http_port" : "tls_port";
  const port = portOf(type, settings);
  return `${type} is answered on port ${port}, which has a listener that is not ${which}. Change that one, or ${key}`;
}

function checkPorts(
  { settings, at }: AutoTlsGiven,
  given: readonly string[],
  report: Report,
): void {
  const keys = [
    ["http_port", "http-01"],
    ["tls_port", "tls-alpn-01"],
  ] as const satisfies readonly (readonly [keyof AutoTlsConfig, ChallengeType])[];
  for (const [key, type] of keys) {
    if (settings[key] === undefined || given.includes("auto") || given.includes(type)) continue;
    report(at(key), `has no effect without ${type} among the challenges`, "key");
  }
  if (portOf("http-01", settings) !== portOf("tls-alpn-01", settings)) return;
  const key = settings.http_port === undefined ? "tls_port" : "http_port";
  report(at(key), "is the port of both http and tls. Write two");
}

/** What is only for authorities that are asked. */
const ASKED_KEYS = [
  "email",
  "agree_terms",
  "challenge",
  "dns_provider",
  "dns",
  "http_port",
  "tls_port",
] as const;

function checkInternalOnly({ settings, at }: AutoTlsGiven, report: Report): void {
  if (settings.ca === undefined || !signsInternally(settings)) return; // by default others are asked as soon as a name wants it
  for (const key of ASKED_KEYS) {
    if (settings[key] === undefined) continue;
    report(at(key), `has no effect with ca: ${INTERNAL}, which asks nobody`, "key");
  }
}
