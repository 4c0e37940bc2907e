// Whether a client's connection takes another request behind the one under way (RFC 9112 section 9.3). Pure: told of what
// happens on the connection, and asked. Called by server.ts.
//
// Invariant: once `over`, it stays so.

export class Persistence {
  /** Requests so far, with the one under way. */
  requests = 0;
  /** No further request is read: the client was told so, or has said so itself. */
  over = false;
  /** No further connection is kept: the next answer says so. Until then a request may be on its way, and is answered. */
  draining = false;
  readonly #requestsMax: number;

  /** @param requestsMax 0: as many as the client likes. */
  constructor(requestsMax: number) {
    this.#requestsMax = requestsMax;
  }

  /**
   * A request came in.
   * @param lasts its client keeps the connection.
   */
  begin(method: string, lasts: boolean): void {
    this.requests++;
    // What follows CONNECT is not HTTP, whatever it is answered.
    if (!lasts || this.requests === this.#requestsMax || method === "CONNECT") this.over = true;
  }

  end(): void {
    this.over = true;
  }

  /** A head is about to be sent. */
  answer(): void {
    if (this.draining) this.over = true;
  }
}
