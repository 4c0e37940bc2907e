// What listeners and their targets count, as metrics. Labels are keys of the plan and closed lists, so there are never more of
// them than the configuration has. Called by metrics.ts.

import {
  type ListenerStats,
  type RouteStats,
  type TargetStats,
  TLS_VERSIONS,
} from "../../shared/counters.ts";
import { isHttpPlan } from "../../shared/http-plan.ts";
import { TARGET_MODES } from "../../shared/messages.ts";
import type { Family, ListenerReading, Sample } from "./family.ts";

type Values = (listener: ListenerReading) => Iterable<Sample>;

function family(
  name: string,
  help: string,
  labels: readonly string[],
  values: Values,
  fits: (listener: ListenerReading) => boolean = () => true,
): Family {
  return {
    name,
    help,
    type: name.endsWith("_total") ? "counter" : "gauge",
    labels: ["listener", ...labels],
    *read({ listeners }) {
      for (const listener of listeners.filter(fits)) {
        for (const [more, value] of values(listener)) yield [[listener.plan.key, ...more], value];
      }
    },
  };
}

const one =
  (value: (stats: ListenerStats) => number): Values =>
  ({ stats }) => [[[], value(stats)]];

const each =
  (values: (stats: ListenerStats) => Readonly<Record<string, number>>): Values =>
  ({ stats }) =>
    Object.entries(values(stats)).map(([label, value]) => [[label], value]);

const both = (stats: { bytesUp: number; bytesDown: number }): Readonly<Record<string, number>> => ({
  up: stats.bytesUp,
  down: stats.bytesDown,
});

/** Of several labels, by label. */
type Amounts = Readonly<Record<string, number>> | number;

function samples(labels: readonly string[], read: Amounts): Sample[] {
  if (typeof read === "number") return [[labels, read]];
  return Object.entries(read).map(([label, value]) => [[...labels, label], value]);
}

const perRoute =
  (read: (route: RouteStats) => Amounts): Values =>
  ({ stats }) =>
    stats.routes.flatMap((route) => samples([route.name], read(route)));

const perTarget =
  (read: (target: TargetStats) => Amounts): Values =>
  ({ stats }) =>
    stats.targets.flatMap((target) => samples([target.route, target.name], read(target)));

const keyOf = ({ name, route }: { name: string; route: string }): string => `${name} ${route}`;

const isHttp = ({ plan }: ListenerReading): boolean => isHttpPlan(plan);
const isUdp = ({ plan }: ListenerReading): boolean => plan.protocol === "udp";
const isMirrored = ({ plan }: ListenerReading): boolean => "mirror" in plan && plan.mirror !== null;

const CONNECTIONS: readonly Family[] = [
  family(
    "connections_total",
    "Connections accepted; of UDP, sessions.",
    [],
    one(({ total }) => total),
  ),
  family(
    "connections_active",
    "Connections open now.",
    [],
    one(({ active }) => active),
  ),
  family(
    "connections_refused_total",
    "Clients turned away, by reason.",
    ["reason"],
    each(({ refused }) => refused),
  ),
  family(
    "bytes_total",
    "Payload bytes, up from clients to targets and down from targets to clients.",
    ["direction"],
    each(both),
  ),
  family(
    "errors_total",
    "System errors of connections, by errno.",
    ["errno"],
    each(({ errors }) => errors),
  ),
  family("listener_workers", "Workers that accept on the listener.", [], ({ workers }) => [
    [[], workers],
  ]),
  family(
    "datagrams_total",
    "Datagrams, up from clients and down from targets.",
    ["direction"],
    each(({ datagramsUp, datagramsDown }) => ({ up: datagramsUp, down: datagramsDown })),
    isUdp,
  ),
  family(
    "datagrams_dropped_total",
    "Datagrams that were not passed on, by reason.",
    ["reason"],
    each(({ dropped }) => dropped),
    isUdp,
  ),
  family(
    "mirrored_bytes_total",
    "Bytes of clients that were copied to the mirror.",
    [],
    one(({ mirrored }) => mirrored),
    isMirrored,
  ),
  family(
    "mirror_dropped_bytes_total",
    "Bytes of clients that were to be copied to the mirror, and were not.",
    [],
    one(({ mirrorDropped }) => mirrorDropped),
    isMirrored,
  ),
];

const TLS: readonly Family[] = [
  family(
    "tls_handshakes_total",
    "Handshakes with clients that came to an end, by whether they resumed a session. Refusals count those that failed.",
    ["version", "resumed"],
    ({ stats: { handshakes, resumptions } }) =>
      TLS_VERSIONS.flatMap((version): Sample[] => [
        [[version, "false"], handshakes[version]],
        [[version, "true"], resumptions[version]],
      ]),
    ({ plan }) => "tls" in plan && plan.tls !== null,
  ),
];

const HTTP: readonly Family[] = [
  family(
    "http_requests_total",
    "Requests that began, by the route that took them; none: none did.",
    ["route"],
    perRoute(({ requests }) => requests),
  ),
  family(
    "http_version_requests_total",
    "Requests that began, by the version of HTTP that their client spoke.",
    ["version"],
    each(({ http }) => http.versions),
    isHttp,
  ),
  family(
    "http_requests_active",
    "Requests under way.",
    ["route"],
    perRoute(({ active }) => active),
  ),
  family(
    "http_responses_total",
    "Answers that clients were sent, by the class of their status.",
    ["route", "class"],
    perRoute(({ answers }) => answers),
  ),
  family(
    "http_own_responses_total",
    "Answers of http_responses_total that the proxy gave itself: errors and redirects.",
    ["route", "class"],
    perRoute(({ ownAnswers }) => ownAnswers),
  ),
  family(
    "http_unanswered_total",
    "Requests whose client was gone before there was an answer.",
    ["route"],
    perRoute(({ unanswered }) => unanswered),
  ),
  family(
    "http_retries_total",
    "Requests that were sent to a target once more.",
    ["route"],
    perRoute(({ retries }) => retries),
  ),
  family(
    "http_retries_refused_total",
    "Requests that were not sent once more, since the budget of retries was used up.",
    ["route"],
    perRoute(({ retriesRefused }) => retriesRefused),
  ),
  family(
    "http_connection_reuses_total",
    "Requests that went over a connection to a target that had served others.",
    [],
    one(({ http }) => http.reuses),
    isHttp,
  ),
];

const TARGETS: readonly Family[] = [
  family(
    "target_connections_total",
    "Connections to a target, by the route that led there.",
    ["route", "target"],
    perTarget(({ connects }) => connects),
  ),
  family(
    "target_connect_failures_total",
    "Connections to a target that failed.",
    ["route", "target"],
    perTarget(({ failures }) => failures),
  ),
  family(
    "target_connections_active",
    "Connections to a target that are open now.",
    ["route", "target"],
    perTarget(({ active }) => active),
  ),
  family(
    "target_bytes_total",
    "Payload bytes to (up) and from (down) a target; of HTTP, of bodies.",
    ["route", "target", "direction"],
    perTarget(both),
  ),
  family(
    "target_state",
    "Workers that hold a target for up, ejected, half_open or down: each finds out for itself.",
    ["route", "target", "state"],
    ({ stats, targets }) => {
      const there = new Set(targets.map(keyOf)); // of those that are gone nobody finds out any more
      const seen = stats.targets.filter((target) => there.has(keyOf(target)));
      return seen.flatMap(({ name, route, states }) => samples([route, name], states));
    },
  ),
  family(
    "target_mode",
    "1 of what the operator wants of a target: enabled, draining or disabled.",
    ["route", "target", "mode"],
    ({ targets }) =>
      [...new Map(targets.map((target) => [keyOf(target), target])).values()].flatMap(
        ({ name, route, mode }) =>
          TARGET_MODES.map((is): Sample => [[route, name, is], Number(mode === is)]),
      ),
  ),
  family(
    "target_weight",
    "The target's share, relative to the others of its route, as it is now.",
    ["route", "target"],
    ({ targets }) => targets.map(({ name, route, weight }): Sample => [[route, name], weight]),
  ),
  family(
    "target_ejections_total",
    "How often a worker left a target out for a while.",
    ["route", "target"],
    perTarget(({ ejections }) => ejections),
  ),
];

export const LISTENER_FAMILIES = [...CONNECTIONS, ...TLS, ...HTTP, ...TARGETS];
