// Why a listener could not be opened, in words that say the place, the reason and the cure. One table for the engines and
// the protocols.

import { ProxyError } from "./errors.ts";

const REASONS: Readonly<Record<string, readonly [reason: string, cure: string]>> = {
  EADDRINUSE: [
    "the address is in use",
    "End the program that listens there, or choose another port or path",
  ],
  EACCES: [
    "permission denied",
    "Ports below 1024 need CAP_NET_BIND_SERVICE or root; a unix socket needs a folder that can be written",
  ],
  EADDRNOTAVAIL: [
    "this machine does not have that address",
    "Use an address of this machine, or :PORT for all of them",
  ],
  EAFNOSUPPORT: ["this machine has no such address family", "Use an IPv4 address"],
  ENOENT: ["the folder does not exist", "Create the folder first"],
  ENOTDIR: ["part of the path is a file", "Choose another path"],
  ENOTSOCK: ["a file that is not a socket is there", "Choose another path, or move the file away"],
  EROFS: ["the file system is read-only", "Choose a folder that can be written"],
  EMFILE: ["the process is out of descriptors", "Raise the limit: ulimit -n"],
};

/**
 * @param address as people write it.
 * @param errno the name of the error number, `EADDRINUSE`.
 * @param cause what the system or the runtime said, where there is more than the number.
 */
export function listenError(address: string, errno: string, cause?: unknown): ProxyError {
  const [reason, cure] = REASONS[errno] ?? [
    cause instanceof Error ? cause.message : "the system refused",
    "Check the address",
  ];
  return new ProxyError("ERR_LISTEN", `cannot listen on ${address}: ${reason} (${errno})`, {
    cause,
    cure,
  });
}
