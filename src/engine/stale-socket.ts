// A process that was killed leaves the file of its unix socket behind, on which bind(2) fails for ever (unix(7)). Nobody
// answers on it: it may be removed. In doubt somebody does, and it stays. Called by every engine before it binds.

import { lstatSync, rmSync, type Stats } from "node:fs";

import { ECONNREFUSED, ENOENT } from "../ffi/errno.ts";
import { errno, libc } from "../ffi/libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../ffi/linux.ts";
import { encodeSockaddr } from "../ffi/sockaddr.ts";
import { listenError } from "../shared/listen-error.ts";

/**
 * Makes way for a unix socket at this path.
 * @throws ProxyError ERR_LISTEN if a process listens there, or if the file is not a socket.
 */
export function removeStaleSocket(path: string): void {
  const file = statOf(path);
  if (file === undefined) return;
  if (!file.isSocket()) throw listenError(`unix:${path}`, "ENOTSOCK");
  if (isAnswered(path)) throw listenError(`unix:${path}`, "EADDRINUSE");
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw listenError(`unix:${path}`, "EACCES", cause);
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw listenError(`unix:${path}`, (cause as NodeJS.ErrnoException).code ?? "EACCES", cause);
  }
}

/** @param bySystemCall false where there are none to call. */
export function isAnswered(path: string, bySystemCall = process.platform === "linux"): boolean {
  if (!bySystemCall) {
    // Part of macOS and the BSDs; without it nothing says that the file is stale.
    const nc = Bun.which("nc");
    return nc === null || Bun.spawnSync([nc, "-z", "-U", path]).exitCode === 0;
  }
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const { bytes } = encodeSockaddr({ kind: "unix", path });
  const error = libc.connect(fd, bytes, bytes.length) < 0 ? errno() : 0;
  libc.close(fd);
  return error !== ECONNREFUSED && error !== ENOENT;
}
