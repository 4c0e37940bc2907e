// What a service is to each system's manager of services: one file, and the commands around it. Everything is pure, and
// written down by tests word by word; files are in carry-out.ts, and commands/service.ts decides what is done.

import type { Command } from "../trust/stores.ts";

/** Who starts it: the system at boot, as a user without privileges; or a person's session. */
export type ServiceScope = "system" | "user";

export interface ServiceSpec {
  /** `proxy`: of the unit, the label, the task. */
  readonly name: string;
  readonly scope: ServiceScope;
  /** What starts the program, without flags. Absolute paths. */
  readonly command: readonly string[];
  /** Absolute path of the configuration file. */
  readonly config: string;
  /** Some listener, or an answer to a challenge, is on a port below 1024. */
  readonly lowPorts: boolean;
  /** How long connections may go on after a stop. */
  readonly shutdownMs: number;
}

/** Where things are for whoever runs the command. */
export interface ServicePlace {
  readonly name: string;
  readonly scope: ServiceScope;
  /** Of the person. */
  readonly home: string;
  /** Of the person; launchd names sessions by it. */
  readonly uid: number;
  /** A folder that has an image of a system; nothing of it runs. null: this system. */
  readonly root: string | null;
}

export interface ServiceFile {
  readonly path: string;
  readonly text: string;
  readonly encoding: "utf8" | "utf16le";
}

export interface ServiceStatus {
  /** The manager knows it. */
  readonly installed: boolean;
  /** It is started at boot, or with the person's session. */
  readonly enabled: boolean;
  readonly running: boolean;
  /** In the manager's word. */
  readonly state: string;
  readonly pid: number | null;
  readonly since: Date | null;
  /** What the program last said of itself, or why it ended; empty: nothing. */
  readonly note: string;
}

export const NOT_INSTALLED: ServiceStatus = {
  installed: false,
  enabled: false,
  running: false,
  state: "not installed",
  pid: null,
  since: null,
  note: "",
};

export interface ServiceManager {
  /** For people. */
  readonly name: string;
  /** Beginning and end of a comment in its files. */
  readonly comment: readonly [string, string];
  readonly encoding: ServiceFile["encoding"];
  /** Without the root. */
  path(place: ServicePlace): string;
  text(spec: ServiceSpec, place: ServicePlace): string;
  /** The folder that relative paths of the configuration begin at, and where certificates are kept. */
  workingFolder(spec: Pick<ServiceSpec, "name" | "scope" | "config">): string;
  /** Ends with 0 if the manager is there; null: that is known otherwise. */
  probe(place: ServicePlace): Command | null;
  /** Once the file is written. Does no harm where all of it is done already. */
  start(place: ServicePlace, folder: string): Command[];
  /** Before the file goes. */
  stop(place: ServicePlace): Command[];
  /** After it has gone. */
  forget(place: ServicePlace): Command[];
  /** What applies a file that has changed under a service that runs. */
  restart(place: ServicePlace): Command;
  status(place: ServicePlace): Command;
  /** @param output of `status`; null: it failed, as for a service that is not there. */
  readStatus(output: string | null): ServiceStatus;
  /** @returns the configuration's path in a file of this manager; null: it is not found. */
  configOf(text: string): string | null;
  /** Where the log is, for people. */
  logs(place: ServicePlace): string;
  /** What an installer should know; a line each. */
  notes(spec: ServiceSpec): string[];
}

/** A command, of words. */
export function command(...words: string[]): Command {
  return { words, stdin: null };
}

/** Whole seconds until a manager kills what was asked to stop. */
export function stopSeconds({ shutdownMs }: ServiceSpec): number {
  return Math.ceil(shutdownMs / 1_000) + 10;
}

/** For the text of XML elements. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

export function unescapeXml(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
