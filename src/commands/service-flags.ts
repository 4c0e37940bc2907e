// The flags of `proxy service`, and where they put things on this platform. Called by service.ts.

import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { LAUNCHD } from "../control/service/launchd.ts";
import type { ServiceManager, ServicePlace } from "../control/service/service.ts";
import { SYSTEMD } from "../control/service/systemd.ts";
import { TASK_SCHEDULER } from "../control/service/windows.ts";
import { ProxyError } from "../shared/errors.ts";
import type { Example } from "./help.ts";

export const SERVICE_ARGS = {
  action: { type: "positional", description: "install, uninstall or status" },
  config: {
    type: "string",
    valueHint: "FILE",
    description:
      "of install: the configuration (default: /etc/proxy/proxy.yaml; with -user ~/.config/proxy/proxy.yaml)",
  },
  user: {
    type: "boolean",
    description: "of your own session: a user unit of systemd, an agent of launchd; needs no root",
  },
  name: { type: "string", valueHint: "proxy", description: "of the service (default: proxy)" },
  executable: {
    type: "string",
    valueHint: "FILE",
    description: "of install: what is started (default: this one)",
  },
  root: {
    type: "string",
    valueHint: "FOLDER",
    description: "the image of a system: files go below it, and nothing is started",
  },
  "dry-run": { type: "boolean", description: "show the file and the commands, and do nothing" },
  yes: { type: "boolean", description: "do not ask, which only happens on a terminal" },
  force: {
    type: "boolean",
    description: "also where the file was changed, or written by somebody else",
  },
  json: { type: "boolean", description: "of status: print JSON" },
} as const;

export interface ServiceFlags {
  readonly config?: string | undefined;
  readonly user?: boolean | undefined;
  readonly name?: string | undefined;
  readonly executable?: string | undefined;
  readonly root?: string | undefined;
  readonly "dry-run"?: boolean | undefined;
  readonly yes?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export const SERVICE_EXAMPLES: readonly Example[] = [
  ["proxy service install -dry-run -config proxy.yaml", "what would be written and run"],
  ["sudo proxy service install", "starts now, and whenever the machine does"],
  ["proxy service status", "exit code 0 if it runs, 1 if not"],
  ["sudo proxy service uninstall", "the configuration and certificates stay"],
];

export type Action = "install" | "uninstall" | "status";

/** Which flags mean something to which action; those that are not here do to all. */
const ONLY: Partial<Record<keyof ServiceFlags, readonly Action[]>> = {
  config: ["install"],
  executable: ["install"],
  root: ["install", "uninstall"],
  "dry-run": ["install", "uninstall"],
  yes: ["install", "uninstall"],
  force: ["install", "uninstall"],
  json: ["status"],
};

/** @throws ProxyError ERR_USAGE */
export function checkAction(action: string, flags: ServiceFlags): Action {
  if (action !== "install" && action !== "uninstall" && action !== "status") {
    throw new ProxyError("ERR_USAGE", `service "${action}"? Write install, uninstall or status`);
  }
  for (const [flag, actions] of Object.entries(ONLY)) {
    if (flags[flag as keyof ServiceFlags] !== undefined && !actions.includes(action)) {
      throw new ProxyError("ERR_USAGE", `-${flag} means nothing to service ${action}`);
    }
  }
  return action;
}

/** @throws ProxyError ERR_USAGE */
export function managerOf(platform: NodeJS.Platform, { user, root }: ServiceFlags): ServiceManager {
  if (platform === "linux") return SYSTEMD;
  if (platform === "darwin") return LAUNCHD;
  if (platform !== "win32") {
    throw new ProxyError("ERR_USAGE", `it is not known how ${platform} runs services`);
  }
  if (user === true || root !== undefined) {
    const flag = user === true ? "-user" : "-root";
    throw new ProxyError("ERR_USAGE", `${flag} has no meaning on Windows`);
  }
  return TASK_SCHEDULER;
}

/** @throws ProxyError ERR_USAGE */
export function placeOf({ user, name = "proxy", root }: ServiceFlags): ServicePlace {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) {
    throw new ProxyError("ERR_USAGE", `-name: "${name}" is not a name of letters, digits, - and _`);
  }
  if (user === true && root !== undefined) {
    throw new ProxyError("ERR_USAGE", "-user and -root cannot be given together");
  }
  if (user === true && Boolean(process.env.SUDO_USER)) {
    throw new ProxyError("ERR_USAGE", "-user with sudo would be root's own session", {
      cure: "Run it without sudo",
    });
  }
  return {
    name,
    scope: user === true ? "user" : "system",
    home: homedir(),
    uid: process.getuid?.() ?? 0,
    root: root === undefined ? null : resolve(root),
  };
}

/** Where a file of the service is on this machine. */
export function within({ root }: ServicePlace, path: string): string {
  return root === null ? path : join(root, path);
}

export function defaultConfig(platform: NodeJS.Platform, { scope, home }: ServicePlace): string {
  if (scope === "user") return `${home}/.config/proxy/proxy.yaml`;
  return platform === "win32" ? "C:\\ProgramData\\proxy\\proxy.yaml" : "/etc/proxy/proxy.yaml";
}

/** The same call, to be repeated with something in front or behind. */
export function callOf(action: Action, { config, name, executable }: ServiceFlags): string {
  const words = ["proxy", "service", action];
  if (config !== undefined) words.push("-config", config);
  if (name !== undefined) words.push("-name", name);
  if (executable !== undefined) words.push("-executable", executable);
  return words.join(" ");
}
