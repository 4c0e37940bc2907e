// A download over HTTP/3 by the runtime's own client, which flows all the time while its listener is replaced and while reloads
// are refused after the new one had been opened: not a byte is lost, and whoever comes then is served.

import { afterAll, expect, test } from "bun:test";

import { Proxy } from "../../src/control/proxy.ts";
import { streamBytes, StreamCheck } from "../support/bytes.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { H3TestClient } from "../support/h3-client.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const CHUNK_BYTES = 64 * 1024;
/** Between two reloads: more than is on its way anywhere. */
const STEP_BYTES = 4 * 1024 * 1024;

const authority = new Authority();
const { certFile, keyFile } = authority.issue(["a.example"]);
const TLS = { cert_file: certFile, key_file: keyFile };
afterAll(() => authority[Symbol.dispose]());

/** Answers with its name, and `/download` with bytes without end, until it is told to end. */
class Backend implements AsyncDisposable {
  sent = 0;
  #ending = false;
  readonly #server: Bun.Server<undefined>;

  constructor(name: string) {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: ({ url }) => new Response(url.endsWith("/download") ? this.#stream() : name),
    });
  }

  get target(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  #stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull: (controller) => {
        if (this.#ending) return controller.close();
        controller.enqueue(streamBytes(1, this.sent, CHUNK_BYTES).slice());
        this.sent += CHUNK_BYTES;
      },
    });
  }

  end(): void {
    this.#ending = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.stop(true);
  }
}

/** By a client that is new. */
async function asked(port: number): Promise<string> {
  using client = await H3TestClient.connect(port, authority.ca);
  const { status, text } = await client.ask().over;
  return `${status} ${text}`;
}

test.each([1, 2])(
  "a download loses nothing over reloads of its listener, and over some that are refused; %p workers",
  async (workers) => {
    await using a = new Backend("a");
    await using b = new Backend("b");
    await using other = await WireServer.listen();
    const http3 = (target: string) => ({
      name: "http3",
      listen: "127.0.0.1:0",
      target,
      tls: TLS,
    });
    const taken = { name: "tcp", listen: other.target, target: a.target };
    await using proxy = await Proxy.start(compiledPlan([http3(a.target)], { workers }));
    const { port } = wireAddress(proxy.listeners()[0]!.bound[0]!) as { port: number };
    const options = { protocol: "h3", tls: { rejectUnauthorized: false } } as RequestInit;
    const response = await within("a head", fetch(`https://127.0.0.1:${port}/download`, options));
    const check = new StreamCheck(1);
    const download = (async () => {
      for await (const bytes of response.body!) check.take(bytes);
    })();
    let failure: unknown = null;
    download.catch((error: unknown) => (failure = error));
    const flows = async (): Promise<void> => {
      const from = check.received;
      await until("more of it", () => check.received >= from + STEP_BYTES || failure !== null);
      expect(failure).toBeNull();
    };
    const refused = async (target: string): Promise<void> => {
      const plan = compiledPlan([http3(target), taken], { workers });
      const error = await proxy.reload(plan).catch((each: unknown) => each);
      expect(error).toMatchObject({ code: "ERR_LISTEN" });
    };

    await flows();
    await refused(b.target);
    expect(await asked(port)).toBe("200 a");
    await flows();
    await proxy.reload(compiledPlan([http3(b.target)], { workers }));
    expect(await asked(port)).toBe("200 b");
    await flows();
    await refused(a.target);
    expect(await asked(port)).toBe("200 b");
    await flows();
    a.end();
    await within("the end of the download", download);
    expect(check.received).toBe(a.sent);
  },
  60_000,
);
