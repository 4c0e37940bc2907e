// A server in front of Pebble that passes everything on, notes what is asked, and answers in its place where a test says so: what
// Pebble does not speak, as renewal windows and rate limits.

import { Authority } from "./certificates.ts";
import type { Pebble } from "./pebble.ts";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** What the client signed, as JSON; null: nothing. */
  readonly payload: Readonly<Record<string, unknown>> | null;
  readonly headers: Headers;
}

/** null: Pebble is asked. */
export type Substitute = (request: SeenRequest) => Response | null;

export class AcmeFront implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  /** Added to the directory. */
  readonly extras: Record<string, unknown> = {};
  substitute: Substitute = () => null;
  readonly #authority = new Authority();
  readonly #server: Bun.Server<undefined>;
  readonly #pebble: Pebble;

  constructor(pebble: Pebble) {
    this.#pebble = pebble;
    const { cert, key } = this.#authority.issue(["localhost", "IP:127.0.0.1"]);
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      fetch: (request) => this.#handle(request),
    });
  }

  get url(): string {
    return `https://127.0.0.1:${this.#server.port}`;
  }

  get directory(): string {
    return `${this.url}/dir`;
  }

  get caFile(): string {
    return this.#authority.caFile;
  }

  async #handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = await request.text();
    const { method, headers } = request;
    const seen = { method, path: pathname, payload: payloadOf(body), headers };
    this.seen.push(seen);
    const instead = this.substitute(seen);
    if (instead !== null) return instead;
    // With the client's Host: Pebble makes its URLs of it, and finds it in what is signed.
    const target = new URL(pathname, this.#pebble.directory);
    const passed = new Headers(headers);
    passed.set("host", new URL(this.url).host);
    const answer = await fetch(target, {
      method,
      headers: passed,
      ...(method === "POST" && { body }),
      tls: { ca: this.#pebble.ca },
    });
    const said = new Headers(answer.headers);
    said.delete("content-length");
    if (pathname !== "/dir") {
      return new Response(await answer.text(), { status: answer.status, headers: said });
    }
    return Response.json({ ...((await answer.json()) as object), ...this.extras });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    this.#authority[Symbol.dispose]();
  }
}

/** Of a JWS in JSON (RFC 7515 section 7.2.2). */
function payloadOf(body: string): Record<string, unknown> | null {
  if (body === "") return null;
  const { payload } = JSON.parse(body) as { payload: string };
  return payload === "" ? null : JSON.parse(Buffer.from(payload, "base64url").toString());
}
