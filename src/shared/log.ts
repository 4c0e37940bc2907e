// The log as the rest of the program sees it: pino's calling convention, so that pino fits without an adapter, and so that
// rooms which must not know pino can log. Fields first, then one sentence that is the same for every event of its kind.

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nothing = (): void => {};

/** For library users and tests that want no output. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
