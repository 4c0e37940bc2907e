// What commands that ask a running proxy wait for and hold, with reasons; ADMIN of limits.ts has the listener's side. Called by
// the client of control/admin and by the commands.

const MIB = 1024 * 1024;

/** Who asks the admin listener: `proxy status` and its kind. */
export const ADMIN_CLIENT = {
  answerMs: 10_000, // a proxy answers within milliseconds, an overloaded one within seconds
  reloadMs: 35_000, // longer than ADMIN.answerMs, so that the proxy's own word comes first
  silenceMs: 6_000, // of a stream that has something every second
  answerMaxBytes: 64 * MIB, // 10,000 connections are 3 MiB; another program's answer may have no end
  retryMs: 1_000, // between attempts after the connection was lost
} as const;
