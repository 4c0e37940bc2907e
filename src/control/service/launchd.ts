// launchd of macOS: a daemon of the system, or an agent of a person's session. Its file is a property list (launchd.plist(5)).

import { posix } from "node:path";

import {
  command,
  escapeXml,
  NOT_INSTALLED,
  type ServiceManager,
  type ServicePlace,
  type ServiceSpec,
  type ServiceStatus,
  stopSeconds,
  unescapeXml,
} from "./service.ts";

/** The account that macOS has for web servers. Any user may listen below 1024 there, on all addresses. */
const USER = "_www";

export const LAUNCHD: ServiceManager = {
  name: "launchd",
  comment: ["<!-- ", " -->"],
  encoding: "utf8",
  path: (place) =>
    place.scope === "system"
      ? `/Library/LaunchDaemons/${label(place)}.plist`
      : `${place.home}/Library/LaunchAgents/${label(place)}.plist`,
  text: launchdPlist,
  workingFolder: ({ name, scope, config }) =>
    scope === "system" ? `/usr/local/var/${name}` : posix.dirname(config),
  probe: () => null,
  start: (place, folder) => {
    const own = ["-d", "-o", USER, "-g", USER, "-m", "0700", folder];
    const make = place.scope === "system" ? [command("install", ...own)] : [];
    if (place.root !== null) return [];
    // Only bootstrap complains of what is done already; kickstart starts what is loaded and does not run.
    const script = `${isLoaded(place)} || ${load(place)}`;
    return [
      ...make,
      command("launchctl", "enable", target(place)),
      command("sh", "-c", script),
      command("launchctl", "kickstart", target(place)),
    ];
  },
  stop: (place) => {
    if (place.root !== null) return [];
    const script = `${isLoaded(place)} && launchctl bootout ${target(place)} || true`;
    return [command("sh", "-c", script)];
  },
  forget: () => [],
  restart: (place) => command("sh", "-c", `launchctl bootout ${target(place)}; ${load(place)}`),
  status: (place) => {
    // launchd does not tell since when; ps(1) does.
    const pid = `$(launchctl print ${target(place)} | sed -n 's/^.pid = //p')`;
    const since = `ps -o lstart= -p "${pid}" | sed 's/^/lstart = /'`;
    return command("sh", "-c", `launchctl print ${target(place)} && ${since} || true`);
  },
  readStatus: readPrint,
  configOf: (text) => {
    const written = /<string>-config<\/string>\s*<string>([^<]*)<\/string>/.exec(text)?.[1];
    return written === undefined ? null : unescapeXml(written);
  },
  logs: (place) => `the file ${place.name}.log in the service's folder`,
  notes: ({ scope, lowPorts }) =>
    scope === "system" && lowPorts
      ? [
          "Ports below 1024 are open to it on all addresses (:443), not on a single one (127.0.0.1:443)",
        ]
      : [],
};

function label({ name }: Pick<ServicePlace, "name">): string {
  return `bun-tunnel.${name}`;
}

function domain({ scope, uid }: ServicePlace): string {
  return scope === "system" ? "system" : `gui/${uid}`;
}

function target(place: ServicePlace): string {
  return `${domain(place)}/${label(place)}`;
}

function isLoaded(place: ServicePlace): string {
  return `launchctl print ${target(place)} >/dev/null 2>&1`;
}

function load(place: ServicePlace): string {
  return `launchctl bootstrap ${domain(place)} ${quote(LAUNCHD.path(place))}`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

export function launchdPlist(spec: ServiceSpec): string {
  const folder = LAUNCHD.workingFolder(spec);
  const log = `${folder}/${spec.name}.log`;
  const user = spec.scope === "system" ? [key("UserName", string(USER))] : [];
  const limits = "<dict><key>NumberOfFiles</key><integer>65536</integer></dict>";
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
${[
  key("Label", string(label(spec))),
  key("ProgramArguments", array([...spec.command, "-config", spec.config])),
  ...user,
  key("WorkingDirectory", string(folder)),
  key("StandardErrorPath", string(log)),
  key("StandardOutPath", string(log)),
  key("RunAtLoad", "<true/>"),
  // One that ended in order is left alone.
  key("KeepAlive", "<dict><key>SuccessfulExit</key><false/></dict>"),
  // Longer than shutdown_timeout; launchd's own 20 s would cut connections.
  key("ExitTimeOut", `<integer>${stopSeconds(spec)}</integer>`),
  // Its CPU and I/O are not throttled as those of helpers are.
  key("ProcessType", string("Interactive")),
  key("SoftResourceLimits", limits),
  key("HardResourceLimits", limits),
  // 0007 and 0077.
  key("Umask", `<integer>${spec.scope === "system" ? 0o007 : 0o077}</integer>`),
].join("\n")}
</dict>
</plist>
`;
}

function key(name: string, value: string): string {
  return `  <key>${name}</key>\n  ${value}`;
}

function string(text: string): string {
  return `<string>${escapeXml(text)}</string>`;
}

function array(words: readonly string[]): string {
  return `<array>\n${words.map((word) => `    ${string(word)}\n`).join("")}  </array>`;
}

/** Of `launchctl print`, whose indented lines are `name = value`; those of inner blocks are indented further. */
function readPrint(output: string | null): ServiceStatus {
  const valueOf = (name: string): string | undefined =>
    new RegExp(`^\\t?${name} = (.*)$`, "m").exec(output ?? "")?.[1]?.trim();
  const state = valueOf("state");
  if (state === undefined) return NOT_INSTALLED;
  const started = Date.parse(valueOf("lstart") ?? "");
  const running = state === "running";
  return {
    installed: true,
    enabled: true, // what is loaded is started at boot
    running,
    state,
    pid: Number(valueOf("pid")) || null,
    since: running && !Number.isNaN(started) ? new Date(started) : null,
    note: running ? "" : `last exit code ${valueOf("last exit code") ?? "unknown"}`,
  };
}
