// Every version of HTTP in, to every version out: bodies both ways, trailers, heads alone, 1xx, and what is broken off from
// either side. HTTP/1.1 and HTTP/2 are Node's, HTTP/3 is the runtime's own node:quic, which the proxy does not use.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout } from "bun:test";
import { join } from "node:path";

import { temporaryFolder } from "../../support/daemon.ts";
import { writeCertificate } from "../../support/gateway.ts";
import { HttpProxy } from "../../support/http-proxy.ts";
import { NodePeer } from "../../support/node-peer.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";
import {
  type Answer,
  type Ask,
  type BackendVersion,
  bytesOf,
  type ClientVersion,
  CUT,
  HINTS,
  LENGTH,
  sumOf,
} from "./pairs/protocol.ts";
import { askQuic, QuicBackend } from "./pairs/quic.ts";

setDefaultTimeout(30_000);

const CLIENTS: readonly ClientVersion[] = ["h1", "h2", "h3"];
const BACKENDS: readonly BackendVersion[] = ["h1", "h2c", "h2", "h3"];
const SIZES = [0, 1, 64 * 1024, 3 * 1024 * 1024];

interface Said {
  readonly ports?: Record<string, number>;
  readonly cancelled?: string;
  readonly answer?: Answer;
}

let node: NodePeer<Said>;
let quic: QuicBackend;
let proxy: HttpProxy;
/** Answers that a backend was told nobody wants any more. */
let cancelled = 0;
const SCHEMES = { h1: "http", h2c: "h2c", h2: "h2", h3: "h3" } as const;

beforeAll(async () => {
  if (Bun.which("node") === null) return; // the tests say so
  const folder = temporaryFolder();
  const files = [join(folder, "cert.pem"), join(folder, "key.pem")] as const;
  await writeCertificate(...files);
  node = await NodePeer.start<Said>(new URL("./peers/pairs.ts", import.meta.url), ...files);
  quic = await QuicBackend.start(...files, () => cancelled++);
  const ports: Record<string, number> = { ...(await node.says()).ports, h3: quic.port };
  const routes = BACKENDS.map((version) => {
    const address = `${SCHEMES[version]}://127.0.0.1:${ports[version]}`;
    const secure = version === "h2" || version === "h3";
    const tls = secure ? { tls: { ca_file: files[0] } } : {};
    return { match: { path: `/${version}/*` }, target: { address, ...tls } };
  });
  const tls = { cert_file: files[0], key_file: files[1] };
  proxy = await HttpProxy.start({ name: "http3", tls, routes });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await quic?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

/** @returns what is said next that is no cancellation, which are counted. */
async function nextAnswer(): Promise<Answer> {
  for (;;) {
    const said = await node.says();
    if (said.answer !== undefined) return said.answer;
    cancelled++;
  }
}

function ask(client: ClientVersion, wanted: Partial<Ask> & { path: string }): Promise<Answer> {
  const asked: Ask = { method: "GET", bytes: 0, trailers: false, cancelAfter: -1, ...wanted };
  const { port } = proxy.address as { port: number };
  if (client === "h3") return askQuic(port, asked);
  node.tell({ version: client, port, asked });
  return nextAnswer();
}

for (const client of CLIENTS) {
  for (const backend of BACKENDS) {
    describe(`${client} to ${backend}`, () => {
      for (const bytes of SIZES) {
        // See pairs/quic.ts.
        const trailers = bytes <= 1 || (client !== "h3" && backend !== "h3");
        const what = trailers ? "both ways, and trailers both ways" : "both ways";
        testWith(["node", "openssl"], `a body of ${bytes} bytes ${what}`, async () => {
          const path = `/${backend}/${trailers ? "trailers" : "echo"}`;
          const answer = await ask(client, { method: "POST", path, bytes, trailers });
          const sum = sumOf(bytesOf(bytes));
          expect(answer).toMatchObject({ status: 200, bytes, sha256: sum, whole: true });
          expect(answer.trailers).toEqual(trailers ? { "x-sum": sum, "x-asked": "asked" } : {});
        });
      }

      testWith(["node", "openssl"], "HEAD has the length and no body", async () => {
        const answer = await ask(client, { method: "HEAD", path: `/${backend}/length` });
        expect(answer).toMatchObject({
          status: 200,
          length: String(LENGTH),
          bytes: 0,
          whole: true,
        });
      });

      testWith(["node", "openssl"], "GET of a length that is known", async () => {
        const answer = await ask(client, { path: `/${backend}/length` });
        expect(answer).toMatchObject({ status: 200, length: String(LENGTH), bytes: LENGTH });
        expect(answer.sha256).toBe(sumOf(bytesOf(LENGTH)));
      });

      testWith(["node", "openssl"], "early hints come before the answer", async () => {
        const answer = await ask(client, { path: `/${backend}/hints` });
        expect(answer).toMatchObject({ informational: [103], status: 200, bytes: HINTS.length });
      });

      testWith(
        ["node", "openssl"],
        "a client that has enough ends the backend's answer",
        async () => {
          const before = cancelled;
          await ask(client, { path: `/${backend}/endless`, cancelAfter: 100_000 });
          if (backend !== "h3" && cancelled === before && (await node.says()).cancelled)
            cancelled++;
          await until("the backend hears of it", () => cancelled > before);
        },
      );

      testWith(
        ["node", "openssl"],
        "an answer that the backend breaks off is not whole",
        async () => {
          const answer = await ask(client, { path: `/${backend}/cut` });
          // A RESET_STREAM of QUIC may overtake the head and the bytes before it.
          if (client !== "h3") expect(answer.status).toBe(200);
          expect(answer.whole).toBe(false);
          expect(answer.bytes).toBeLessThanOrEqual(CUT);
        },
      );
    });
  }
}
