// Opens what a capture is written to. A file is created for its owner alone, since what passes a proxy holds passwords, and one
// that is there is not replaced unawares. Called by commands/capture.ts.

import { close, fstatSync, open, rmSync, statSync } from "node:fs";

import { messageOf, ProxyError } from "../shared/errors.ts";

export interface Output {
  readonly fd: number;
  /** Not a pipe, a terminal or a device. */
  readonly regular: boolean;
  close(): Promise<void>;
  /** As if it had never been opened: removes a file that was created here. */
  discard(): Promise<void>;
}

const OWNER_ONLY = 0o600;

/** @throws ProxyError ERR_USAGE if a file is there and `force` is not given. */
export function refuseToReplace(path: string, force: boolean): void {
  if (force || statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return;
  throw new ProxyError("ERR_USAGE", `-write: ${path} exists`, {
    cure: "Write to another file, or add -force to replace it",
  });
}

/** @throws ProxyError as `refuseToReplace`, and ERR_SYSTEM with path and reason. */
export async function openOutput(path: string, force: boolean): Promise<Output> {
  refuseToReplace(path, force);
  let created = true;
  // Exclusively: nobody can have put a file, or a link to one, there since it was looked for.
  let fd = await openAs(path, "wx").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EEXIST") throw cannotWrite(path, cause);
    return null;
  });
  if (fd === null) {
    created = false;
    refuseToReplace(path, force);
    fd = await openAs(path, "w").catch((cause) => {
      throw cannotWrite(path, cause);
    });
  }
  const closed = (): Promise<void> => new Promise((resolve) => close(fd, () => resolve()));
  return {
    fd,
    regular: fstatSync(fd).isFile(),
    close: closed,
    async discard() {
      await closed();
      if (created) rmSync(path, { force: true });
    },
  };
}

/** Asynchronously: a named pipe opens when its reader comes. */
function openAs(path: string, flags: string): Promise<number> {
  return new Promise((resolve, reject) =>
    open(path, flags, OWNER_ONLY, (error, fd) => (error ? reject(error) : resolve(fd))),
  );
}

/** An error with the output's name and the reason. */
export function cannotWrite(what: string, cause: NodeJS.ErrnoException): ProxyError {
  const [reason, cure] = REASONS[cause.code ?? ""] ?? [messageOf(cause)];
  return new ProxyError("ERR_SYSTEM", `${what} cannot be written: ${reason}`, {
    cause,
    ...(cure === undefined ? {} : { cure }),
  });
}

const REASONS: Readonly<Record<string, readonly [reason: string, cure?: string]>> = {
  ENOENT: ["its folder does not exist (ENOENT)", "Create the folder, or write elsewhere"],
  ENOTDIR: ["a part of its path is not a folder (ENOTDIR)"],
  EISDIR: ["it is a folder (EISDIR)", "Give the name of a file in it"],
  EACCES: ["permission denied (EACCES)", "Write to a folder of your own"],
  EPERM: ["not permitted (EPERM)", "Write to a folder of your own"],
  EROFS: ["the file system is read-only (EROFS)", "Write elsewhere"],
  ENOSPC: ["no space left on the device (ENOSPC)", "Make room, or write elsewhere"],
  EDQUOT: ["the disk quota is used up (EDQUOT)", "Make room, or write elsewhere"],
  EFBIG: ["it would be larger than a file may be (EFBIG)"],
  EPIPE: ["its reader has gone (EPIPE)"],
};
