// systemd: the unit of `proxy service install`, and of packaging/systemd, which is the same text. What systemd and a running
// proxy say to each other is in control/systemd.ts.

import { posix } from "node:path";

import {
  command,
  NOT_INSTALLED,
  type ServiceManager,
  type ServicePlace,
  type ServiceSpec,
  type ServiceStatus,
  stopSeconds,
} from "./service.ts";

/** Not `proxy`: Debian has a user of that name, which other programs run as. */
const USER = "bun-tunnel";

export const SYSTEMD: ServiceManager = {
  name: "systemd",
  comment: ["# ", ""],
  encoding: "utf8",
  path: ({ name, scope, home }) =>
    scope === "system"
      ? `/etc/systemd/system/${name}.service`
      : `${home}/.config/systemd/user/${name}.service`,
  text: systemdUnit,
  workingFolder: ({ name, scope, config }) =>
    scope === "system" ? `/var/lib/${name}` : posix.dirname(config),
  probe: (place) => (place.root === null ? systemctl(place, "show", "--property=Version") : null),
  start: (place) =>
    place.root === null
      ? [
          systemctl(place, "daemon-reload"),
          systemctl(place, "enable", "--now", `${place.name}.service`),
        ]
      : [systemctl(place, "enable", `${place.name}.service`)],
  stop: (place) => [
    systemctl(place, "disable", ...(place.root === null ? ["--now"] : []), `${place.name}.service`),
  ],
  forget: (place) => (place.root === null ? [systemctl(place, "daemon-reload")] : []),
  restart: (place) => systemctl(place, "restart", `${place.name}.service`),
  status: (place) => {
    const asked = `--property=${PROPERTIES.join(",")}`;
    return systemctl(place, "show", asked, "--timestamp=unix", `${place.name}.service`);
  },
  readStatus: readShow,
  configOf: (text) => {
    const [, quoted, plain] =
      /^ExecStart=.* -config (?:"((?:[^"\\]|\\.)*)"|(\S+))$/m.exec(text) ?? [];
    const written = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain;
    return written?.replaceAll("%%", "%").replaceAll("$$", "$") ?? null;
  },
  logs: ({ name, scope }) => `journalctl ${scope === "user" ? "--user " : ""}-u ${name}`,
  notes: ({ scope }) =>
    scope === "user"
      ? ["It runs while you are logged in; from boot on after: loginctl enable-linger"]
      : [],
};

function systemctl({ scope, root }: ServicePlace, ...words: string[]) {
  const where = root === null ? [] : [`--root=${root}`];
  return command("systemctl", ...(scope === "user" ? ["--user"] : []), ...where, ...words);
}

const PROPERTIES = [
  "LoadState",
  "UnitFileState",
  "ActiveState",
  "SubState",
  "MainPID",
  "ActiveEnterTimestamp",
  "StatusText",
  "Result",
] as const;

/** Lines of `systemctl show`: Name=value. */
function readShow(output: string | null): ServiceStatus {
  const values = new Map(
    (output ?? "").split("\n").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const of = (name: (typeof PROPERTIES)[number]): string => values.get(name) ?? "";
  if (of("LoadState") !== "loaded") return NOT_INSTALLED;
  const active = of("ActiveState");
  const since = /^@(\d+)$/.exec(of("ActiveEnterTimestamp"))?.[1];
  const running = active === "active" || active === "reloading";
  const failed = of("Result") === "success" ? "" : of("Result");
  return {
    installed: true,
    enabled: of("UnitFileState").startsWith("enabled"),
    running,
    state: `${active} (${of("SubState")})`,
    pid: Number(of("MainPID")) || null,
    since: running && since !== undefined ? new Date(Number(since) * 1_000) : null,
    note: of("StatusText") || failed,
  };
}

/** For ExecStart=: quoted where need be; `%` and `$` mean themselves (systemd.service(5), COMMAND LINES). */
function quote(word: string): string {
  const plain = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /[\s"'\\;]/.test(plain) ? `"${plain.replaceAll(/["\\]/g, String.raw`\$&`)}"` : plain;
}

/** For settings that are a path to the line's end: quotes are not taken off there, but specifiers are read. */
function path(text: string): string {
  return text.replaceAll("%", "%%");
}

export function systemdUnit(spec: ServiceSpec): string {
  const lines = spec.scope === "system" ? systemUnit(spec) : userUnit(spec);
  return `${lines.join("\n")}\n`;
}

function head({ name }: ServiceSpec): string[] {
  return [
    `# The proxy as a service. \`systemctl reload ${name}\` checks the configuration and has it read again; if it is wrong, the`,
    "# reload fails and everything stays as it is. SIGUSR2 has a new executable take over without losing a connection:",
    `# systemctl kill --kill-who=main --signal=SIGUSR2 ${name}`,
    "",
  ];
}

function runs(spec: ServiceSpec): string[] {
  const program = spec.command.map(quote).join(" ");
  const config = quote(spec.config);
  return [
    "[Service]",
    "Type=notify",
    "# The process that replaces the main one says so itself.",
    "NotifyAccess=all",
    `ExecStart=${program} -config ${config}`,
    `ExecReload=${program} check ${config}`,
    "ExecReload=/bin/kill -HUP $MAINPID",
    "# All processes are told to drain: one that was replaced and still drains goes on with that, and is waited for.",
    "KillMode=control-group",
    "# Longer than shutdown_timeout.",
    `TimeoutStopSec=${stopSeconds(spec)}s`,
    "# Longer than proxy waits for a successor.",
    "TimeoutStartSec=90s",
    "WatchdogSec=30s",
    "# A configuration that is wrong (exit code 2) is mended by a person, everything else may pass.",
    "Restart=on-failure",
    "RestartSec=1s",
    "RestartPreventExitStatus=2",
    "# Credentials of DNS providers, NAME=value in lines; the file is read by systemd, and may be its alone.",
    `EnvironmentFile=-${path(posix.dirname(spec.config))}/environment`,
  ];
}

function systemUnit(spec: ServiceSpec): string[] {
  const { name, config } = spec;
  const own = posix.dirname(config) === `/etc/${name}` ? [`ConfigurationDirectory=${name}`] : [];
  return [
    ...head(spec),
    "[Unit]",
    "Description=bun-tunnel, a proxy",
    "After=network-online.target nss-lookup.target",
    "Wants=network-online.target",
    "# An address that is not there yet is tried again for as long as it takes.",
    "StartLimitIntervalSec=0",
    "",
    ...runs(spec),
    "LimitNOFILE=1048576",
    "",
    "# No user of this name needs to exist; one that does is taken, and keys can be made readable to it.",
    "DynamicUser=yes",
    `User=${USER}`,
    ...capabilities(spec),
    ...own,
    `# For unix sockets: /run/${name}.`,
    `RuntimeDirectory=${name}`,
    "# Automatic certificates, and where relative paths of the configuration begin. It outlives the service and its user.",
    `StateDirectory=${name}`,
    "StateDirectoryMode=0700",
    `WorkingDirectory=%S/${name}`,
    "UMask=0007",
    "",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RemoveIPC=yes",
    ...COMMON_HARDENING,
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  ];
}

function capabilities({ lowPorts }: ServiceSpec): string[] {
  return lowPorts
    ? [
        "# Ports below 1024 are all that it may do more than others.",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
      ]
    : [
        "# The configuration had no port below 1024 when this was written.",
        "CapabilityBoundingSet=",
      ];
}

/** A session's manager has no privileges: what needs a mount namespace or another user is left out. */
function userUnit(spec: ServiceSpec): string[] {
  return [
    ...head(spec).map((line) => line.replaceAll("systemctl ", "systemctl --user ")),
    "[Unit]",
    "Description=bun-tunnel, a proxy",
    "StartLimitIntervalSec=0",
    "",
    ...runs(spec),
    "",
    `RuntimeDirectory=${spec.name}`,
    `WorkingDirectory=${path(posix.dirname(spec.config))}`,
    "UMask=0077",
    "",
    ...COMMON_HARDENING,
    "",
    "[Install]",
    "WantedBy=default.target",
  ];
}

const COMMON_HARDENING: readonly string[] = [
  "NoNewPrivileges=yes",
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "# JavaScript is compiled while it runs: memory must become executable.",
  "MemoryDenyWriteExecute=no",
  "SystemCallArchitectures=native",
  "# io_uring is in @system-service of most versions, and named for the others.",
  "SystemCallFilter=@system-service io_uring_setup io_uring_enter io_uring_register",
  "SystemCallFilter=~@privileged",
  "SystemCallErrorNumber=EPERM",
];
