// What the grammar knows and this version does not carry out yet. Each is an error at its place, so that nothing is
// silently ignored; disabled listeners need no availability. An entry leaves this file when its feature arrives.

import type { Part, Path, Problem, Source } from "./problems.ts";
import type { Config, ProtocolConfig } from "./schema.ts";

const NOT_AVAILABLE = "not available in this version";

const AVAILABLE_PROTOCOLS: readonly ProtocolConfig["name"][] = ["tcp"];

const TOP_KEYS = ["admin", "tls", "auto_tls"] as const;

const ENTRY_KEYS = [
  "targets",
  "balance",
  "health",
  "routes",
  "allow",
  "deny",
  "proxy_protocol",
  "mirror",
  "alpn",
] as const;

const LIMIT_KEYS = ["max_per_ip", "accept_rate", "bandwidth"] as const;

export function availabilityProblems(config: Config, source: Source): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: Path, message = NOT_AVAILABLE, part: Part = "key"): void => {
    problems.push({ place: source.place(path, part), message });
  };
  for (const key of TOP_KEYS) if (config[key] !== undefined) refuse([key]);
  if ((config.access_log ?? "off") !== "off") refuse(["access_log"]);
  if (config.engine === "uring")
    refuse(["engine"], `"uring" is ${NOT_AVAILABLE}. Use auto, epoll or bun`, "value");
  if (config.options?.auto_tls === true) refuse(["options", "auto_tls"]);
  config.protocols.forEach((entry, i) => {
    if (entry.enabled !== false) checkEntry(entry, ["protocols", i], refuse);
  });
  return problems;
}

function checkEntry(
  entry: ProtocolConfig,
  path: Path,
  refuse: (path: Path, message?: string, part?: Part) => void,
): void {
  if (!AVAILABLE_PROTOCOLS.includes(entry.name)) {
    refuse(
      [...path, "name"],
      `"${entry.name}" is ${NOT_AVAILABLE}, which forwards ${AVAILABLE_PROTOCOLS.join(", ")}`,
      "value",
    );
    return; // its other keys would only repeat it
  }
  for (const key of ENTRY_KEYS) {
    const value = entry[key];
    const asksForNothing = key === "deny" && Array.isArray(value) && value.length === 0;
    if (value !== undefined && !asksForNothing) refuse([...path, key]);
  }
  for (const key of LIMIT_KEYS) {
    if (entry.limits?.[key] !== undefined) refuse([...path, "limits", key]);
  }
  if (entry.timeouts?.client_hello !== undefined) refuse([...path, "timeouts", "client_hello"]);
}
