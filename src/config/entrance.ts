// Checks over what a client must pass before its target is chosen: routes that are never reached, a PROXY header that anybody
// could forge, keys without effect. Called by relations.ts.

import { type RouteRule, RouteTable, shadowed } from "../l4/tls/routes.ts";
import { ProxyError } from "../shared/errors.ts";
import { isAtHome } from "./key-homes.ts";
import type { Path, Report } from "./problems.ts";
import type { ProtocolConfig } from "./schema.ts";

export function checkEntrance(entry: ProtocolConfig, path: Path, report: Report): void {
  if (entry.allow?.length === 0) {
    const cure = "Leave it out for that, or write enabled: false to serve nobody";
    report([...path, "allow"], `is empty, and would let everybody connect. ${cure}`, "key");
  }
  if (entry.listen.kind === "unix" && !acceptsHeaders(entry))
    checkWithoutAddress(entry, path, report);
  if (isAtHome(["proxy_protocol"], entry.name)) checkProxyProtocol(entry, path, report);
  // Elsewhere routes are about requests, and the names that TLS clients ask for choose certificates.
  if (entry.name !== "tcp" && entry.name !== "tls") return;
  checkRoutes(entry, path, report);
  if (entry.name === "tcp" && entry.routes === undefined) {
    if (entry.timeouts?.client_hello === undefined) return;
    const message = "has no effect without routes: nothing is read of a client before its target";
    report([...path, "timeouts", "client_hello"], message, "key");
  }
}

function acceptsHeaders({ proxy_protocol: proxy }: ProtocolConfig): boolean {
  return (proxy?.accept ?? "off") !== "off";
}

function checkRoutes(entry: ProtocolConfig, path: Path, report: Report): void {
  const { routes = [], target, targets } = entry;
  if (routes.some(({ match }) => match !== undefined)) return; // told of already, and no rule of this protocol
  const rules: RouteRule[] = routes.map(({ sni, alpn }) => ({ sni, alpn }));
  let valid = true;
  rules.forEach((rule, i) => {
    try {
      void new RouteTable([rule]);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      valid = false;
      report([...path, "routes", i, "sni"], error.message);
    }
  });
  if (!valid) return;
  const own = target !== undefined || targets !== undefined;
  for (const { rule, by } of shadowed(own && rules.length > 0 ? [...rules, {}] : rules)) {
    const first = `routes[${by}] (${nameOf(rules[by]!)}) fits wherever`;
    if (rule < rules.length) {
      const message = `is never reached: ${first} ${nameOf(rules[rule]!)} does. Put the narrower one first`;
      report([...path, "routes", rule], message);
    } else {
      const key = target === undefined ? "targets" : "target";
      report([...path, key], `is never reached: ${first} it would. Keep one of them`, "key");
    }
  }
}

function nameOf({ sni, alpn }: RouteRule): string {
  if (sni === undefined && alpn === undefined) return "every client";
  const parts = [
    ...(sni === undefined ? [] : [sni]),
    ...(alpn === undefined ? [] : [`alpn ${alpn.join(", ")}`]),
  ];
  return parts.join(" with ");
}

const FORWARDED = ". For X-Forwarded-For, trusted stands beside listen";

function checkProxyProtocol(entry: ProtocolConfig, path: Path, report: Report): void {
  const { accept, trusted } = entry.proxy_protocol ?? {};
  const at = [...path, "proxy_protocol"];
  if (!acceptsHeaders(entry)) {
    if (entry.timeouts?.proxy_header !== undefined && accept === undefined) {
      const message = "has no effect without proxy_protocol.accept";
      report([...path, "timeouts", "proxy_header"], message, "key");
    }
    // Beside accept: off it is meant to be there when that changes.
    if (trusted !== undefined && accept === undefined) {
      // Its name is taken for that of the other one, of fields.
      const cure = entry.name === "tcp" || entry.name === "tls" ? "" : FORWARDED;
      report([...at, "trusted"], `has no effect without accept${cure}`, "key");
    }
  } else if (entry.listen.kind === "unix") {
    if (trusted === undefined) return;
    report(
      [...at, "trusted"],
      "has no effect on a unix socket: its file says who may connect",
      "key",
    );
  } else if (trusted === undefined || trusted.length === 0) {
    const cure = 'Write the addresses of the proxies in front: trusted: ["10.0.0.0/8"]';
    const why = "anybody could claim to be any client";
    report(
      [...at, ...(trusted === undefined ? [] : ["trusted"])],
      `accept needs trusted: without it ${why}. ${cure}`,
    );
  }
}

/** Clients of a unix socket have no address, unless a PROXY header names one. */
function checkWithoutAddress(entry: ProtocolConfig, path: Path, report: Report): void {
  const message = "has no effect on a unix socket, whose clients have no address";
  for (const key of ["allow", "deny"] as const) {
    if ((entry[key] ?? []).length > 0) report([...path, key], message, "key");
  }
  if ((entry.limits?.max_per_ip ?? 0) > 0)
    report([...path, "limits", "max_per_ip"], message, "key");
}
