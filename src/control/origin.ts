// How this process came to be: by hand, by a service manager, or by a predecessor that it is to replace; and what a successor
// is started with. The variables that say so are taken out of the environment. Called by the run command, once.

import { Inheritance } from "./inheritance.ts";
import { ownCommand } from "./own-command.ts";
import { Predecessor } from "./predecessor.ts";
import { UPGRADE_ENV } from "./successor.ts";
import { OF_ONE_PROCESS, ServiceManager } from "./systemd.ts";

export interface Origin {
  readonly manager: ServiceManager;
  readonly predecessor: Predecessor | undefined;
  readonly inheritance: Inheritance;
  /** What starts a successor, and its environment. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function takeOrigin(): Origin {
  const manager = new ServiceManager(process.env);
  const predecessor = Predecessor.fromEnvironment(process.env);
  for (const name of [...OF_ONE_PROCESS, UPGRADE_ENV]) Reflect.deleteProperty(process.env, name);
  const env = { ...process.env };
  // The manager's successor hears from the manager too; nothing else that we start does.
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC"]) Reflect.deleteProperty(process.env, name);
  const sockets = [...manager.sockets, ...(predecessor?.sockets ?? [])];
  const inheritance = new Inheritance(
    sockets,
    predecessor !== undefined,
    predecessor !== undefined,
    predecessor?.wishes,
  );
  return { manager, predecessor, inheritance, command: ownCommand(), env };
}
