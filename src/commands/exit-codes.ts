// The exit codes of all commands: 0 fine, 1 a failure at run time, 2 wrong flags or configuration, which another try would
// not mend (systemd's RestartPreventExitStatus=). Called by main.ts and by run.ts, which tells some errors in its log.

import { type ErrorCode, ProxyError } from "../shared/errors.ts";

/** Wrong flags or configuration, as opposed to failures at run time. */
const USAGE_CODES: readonly ErrorCode[] = [
  "ERR_USAGE",
  "ERR_CONFIG",
  "ERR_NOT_AVAILABLE",
  "ERR_CERTIFICATE",
];

/** @param error of any kind; what is no ProxyError is a bug, which fails at run time. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof ProxyError && USAGE_CODES.includes(error.code) ? 2 : 1;
}
