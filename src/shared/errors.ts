// The one error type of the program. Every error that crosses a room carries a stable `code`, keeps its `cause`,
// and says the cure where there is one. Called by every room.

/** Stable names of failures. A name, once released, keeps its meaning. */
export type ErrorCode =
  | "ERR_USAGE" // a flag or argument is wrong; exit code 2
  | "ERR_CONFIG" // the configuration is wrong; exit code 2
  | "ERR_NOT_AVAILABLE" // grammar that this version knows but does not carry out yet; exit code 2
  | "ERR_CERTIFICATE" // a certificate, a key or a file of authorities cannot be used; exit code 2
  | "ERR_ISSUE" // an authority gave no certificate
  | "ERR_CHALLENGE" // a name could not be proven to an authority
  | "ERR_DNS_PROVIDER" // the API of a DNS provider refused, or did not answer
  | "ERR_STORAGE" // the folder of certificates cannot be read, written or locked
  | "ERR_ADDRESS" // an address cannot be parsed
  | "ERR_LISTEN" // a listener could not be opened
  | "ERR_CONNECT" // a target could not be reached
  | "ERR_CONNECT_TIMEOUT" // a target did not answer within the connect timeout
  | "ERR_RESOLVE" // a host name has no address
  | "ERR_ENGINE" // an engine cannot run here
  | "ERR_SYSTEM" // a system call failed where none should
  | "ERR_WORKER" // a worker thread ended unexpectedly
  | "ERR_UPGRADE" // a process that was to take over does not serve
  | "ERR_ADMIN" // a running proxy cannot be asked, or refuses what it is asked
  | "ERR_STATE" // a call came in a state that does not allow it
  | "ERR_CONNECTION_LIMIT" // a limit on connections is reached
  | "ERR_CLOSED" // the connection, pool or tunnel is closed
  | "ERR_RESET"; // the peer reset the connection

export interface ProxyErrorOptions {
  cause?: unknown;
  /** What the reader can do about it, as an imperative sentence. */
  cure?: string;
}

/** An error with a stable code. `message` is complete by itself: it holds the place, the reason and the cure. */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly cure: string | undefined;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions = {}) {
    const { cause, cure } = options;
    super(
      cure === undefined ? message : `${message}. ${cure}`,
      cause === undefined ? {} : { cause },
    );
    this.name = "ProxyError";
    this.code = code;
    this.cure = cure;
  }
}

/** An error as plain data, for messages between threads, which keep neither class nor extra fields of an Error. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
}

export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof ProxyError) return { code: error.code, message: error.message };
  return { code: "ERR_SYSTEM", message: messageOf(error) };
}

export function fromErrorRecord(record: ErrorRecord): ProxyError {
  return new ProxyError(record.code, record.message);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `ECONNRESET` from the runtime's system errors; a FIN followed by a reset shows as EPIPE. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "OTHER";
}
