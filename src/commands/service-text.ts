// What `proxy service` tells people: the file and the commands before anything is done, and the state of a service. Pure.

import type { FileState } from "../control/service/seal.ts";
import type { ServiceFile, ServiceStatus } from "../control/service/service.ts";
import { type Command, formatCommand } from "../control/trust/stores.ts";
import type { Style } from "./terminal.ts";

export interface Install {
  readonly file: ServiceFile;
  readonly state: FileState;
  /** The file that is there says the same. */
  readonly same: boolean;
  readonly commands: readonly Command[];
  /** To be known before. */
  readonly cautions: readonly string[];
  readonly notes: readonly string[];
}

export function installText(install: Install, style: Style): string {
  const { file, state, same, commands, cautions, notes } = install;
  const what = state === "absent" ? "new" : same ? "unchanged" : "replaced";
  return [
    `${style.bold(file.path)} ${style.dim(`(${what})`)}`,
    file.text.replaceAll(/^(?=.)/gm, "  ").trimEnd(),
    "",
    ...commandLines(commands, style),
    ...cautions.map((line) => `warning: ${line}.`),
    ...notes.map((line) => `${line}.`),
  ].join("\n");
}

export interface Uninstall {
  readonly path: string;
  readonly before: readonly Command[];
  readonly after: readonly Command[];
}

export function uninstallText({ path, before, after }: Uninstall, style: Style): string {
  return [
    ...commandLines(before, style),
    `removes ${style.bold(path)}`,
    ...commandLines(after, style),
  ].join("\n");
}

function commandLines(commands: readonly Command[], style: Style): string[] {
  return commands.map((command) => `${style.dim("$")} ${formatCommand(command)}`);
}

/** @param title `proxy.service of systemd`. */
export function statusText(
  title: string,
  path: string,
  status: ServiceStatus,
  style: Style,
): string {
  if (!status.installed) return `${style.bold(title)}: not installed`;
  const { running, pid, since, state, enabled, note } = status;
  const process = pid === null ? "" : `, process ${pid}`;
  const started = since === null ? "" : ` since ${formatTime(since)}`;
  const rows: [string, string][] = [
    ["file", path],
    ["enabled", enabled ? "yes" : "no"],
    ["state", state],
  ];
  if (note !== "") rows.push([running ? "says" : "why", note]);
  const head = running ? style.green(`running${started}${process}`) : "not running";
  return [
    `${style.bold(title)}: ${head}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(9)}${value}`),
  ].join("\n");
}

export function statusJson({ since, ...status }: ServiceStatus): string {
  return JSON.stringify({ ...status, since: since?.toISOString() ?? null }, null, 2);
}

function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
