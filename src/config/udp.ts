// What an entry of protocol udp may not ask for: keys of streams, which have no effect on datagrams, and addresses without a
// port. Called by relations.ts.

import type { Endpoint } from "../shared/address.ts";
import type { Path, Report } from "./problems.ts";
import type { ProtocolConfig } from "./schema.ts";
import { addressOf, addressPath, type Written } from "./target.ts";

/** The socket options that a UDP socket has too. */
const SOCKET_KEYS: readonly string[] = ["send_buffer", "receive_buffer"];

export function checkUdp(entry: ProtocolConfig, path: Path, report: Report): void {
  const { listen, target, targets, limits, timeouts, socket } = entry;
  refuseUnix(listen, [...path, "listen"], report);
  const refuseUnixTarget = (written: Written, at: Path): void =>
    refuseUnix(addressOf(written).endpoint, addressPath(written, at), report);
  if (target !== undefined) refuseUnixTarget(target, [...path, "target"]);
  targets?.forEach((item, i) => refuseUnixTarget(item, [...path, "targets", i]));
  if (limits?.max_sessions !== undefined && limits.max_connections !== undefined) {
    const message = "stands beside max_connections, which means the same. Keep one of them";
    report([...path, "limits", "max_sessions"], message, "key");
  }
  for (const key of ["bandwidth", "connection_bandwidth"] as const) {
    if (limits?.[key] === undefined) continue;
    const message = "has no effect on udp, whose senders nothing holds back";
    report([...path, "limits", key], message, "key");
  }
  if (timeouts?.connect !== undefined) {
    const message = "has no effect on udp, which does not wait for its target";
    report([...path, "timeouts", "connect"], message, "key");
  }
  if (timeouts?.lifetime !== undefined) {
    const message = "has no effect on udp, whose sessions end when nothing comes any more";
    report([...path, "timeouts", "lifetime"], message, "key");
  }
  if (timeouts?.idle === 0) {
    const message = "would keep every session for ever, since UDP does not say when it is done";
    report([...path, "timeouts", "idle"], `${message}. Write for example 60s`);
  }
  for (const key of Object.keys(socket ?? {})) {
    if (SOCKET_KEYS.includes(key)) continue;
    const message = `has no effect on udp. Of socket, it has ${SOCKET_KEYS.join(" and ")}`;
    report([...path, "socket", key], message, "key");
  }
}

function refuseUnix(endpoint: Endpoint, path: Path, report: Report): void {
  if (endpoint.kind !== "unix") return;
  report(path, `"unix:${endpoint.path}" is a stream socket, and udp has none. Write host:port`);
}
