// HTTP/3 by clients that no one here wrote: ngtcp2's gtlsclient, and the runtime's own fetch, which is lsquic's.

import { describe, expect } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";

import { streamBytes } from "../../support/bytes.ts";
import { run } from "../../support/daemon.ts";
import { type Gateway, SMALL, STAGE_PROGRAMS, withStage } from "../../support/gateway.ts";
import { gtlsclient } from "../../support/gtlsclient.ts";
import { program, testWith } from "../../support/programs.ts";

const LARGE_BYTES = 5_000_000;
const LARGE = Buffer.concat([0, 1, 2, 3, 4].map((seed) => streamBytes(seed, 0, 1_000_000)));
const HUGE_BYTES = 100_000_000;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function h3Test(
  name: string,
  use: (gateway: Gateway) => Promise<void>,
  http3: Record<string, unknown> = {},
): void {
  testWith([...STAGE_PROGRAMS, "gtlsclient"], name, () => {
    const log = { access_log: "-" };
    return withStage({ files: { large: LARGE }, http3, file: log, complains: true }, use);
  });
}

interface Options extends RequestInit {
  protocol: "h3";
  tls: { rejectUnauthorized: boolean };
}

/** By the runtime's client, which keeps its connections. */
function ask({ tlsPort }: Gateway, path: string, init: RequestInit = {}): Promise<Response> {
  const options: Options = { protocol: "h3", tls: { rejectUnauthorized: false }, ...init };
  return fetch(`https://127.0.0.1:${tlsPort}${path}`, options);
}

describe("gtlsclient", () => {
  h3Test("answers of every size, trailers and informational heads", async (gateway) => {
    const { folder, tlsPort } = gateway;
    const files = await gtlsclient(tlsPort, folder, ["/nginx/small", "/caddy/large"]);
    expect(Buffer.from(files.body("small")).toString()).toBe(SMALL);
    expect(sha256(files.body("large"))).toBe(sha256(LARGE));
    const hints = await gtlsclient(tlsPort, folder, ["/node/hints"]);
    expect(hints.sections.map(([status]) => status)).toEqual([":status: 103", ":status: 200"]);
    expect(hints.sections[0]).toContain("link: </style.css>; rel=preload");
    const trailers = await gtlsclient(tlsPort, folder, ["/node/trailers"]);
    expect(trailers.sections.at(-1)).toEqual(["x-sum: abc", "x-count: 3"]);
    expect(Buffer.from(trailers.body("trailers")).toString()).toBe("one two three\n");
    const nothing = await gtlsclient(tlsPort, folder, ["/nginx/large"], "-m", "HEAD");
    expect(nothing.sections[0]).toContain(`content-length: ${LARGE_BYTES}`);
    expect(nothing.body("nothing")).toHaveLength(0);
  });

  h3Test("uploads, and a hundred streams at once", async ({ folder, tlsPort }) => {
    const file = join(folder, "upload");
    await Bun.write(file, LARGE);
    const { body } = await gtlsclient(tlsPort, folder, ["/node/sum"], "-m", "POST", "-d", file);
    const sum = JSON.parse(Buffer.from(body("sum")).toString());
    expect(sum).toMatchObject({ bytes: LARGE_BYTES, sha256: sha256(LARGE) });
    const { said } = await gtlsclient(tlsPort, folder, ["/caddy/small"], "-n", "100");
    expect(said.match(/\[:status: 200\]/g)).toHaveLength(100);
  });

  h3Test("keys that change, and a client that moves", async ({ folder, tlsPort }) => {
    const later = ["--delay-stream=300ms"];
    for (const flags of [
      ["--key-update=100ms"],
      ["--change-local-addr=100ms"],
      ["--change-local-addr=100ms", "--nat-rebinding"],
    ]) {
      const { sections } = await gtlsclient(tlsPort, folder, ["/nginx/small"], ...later, ...flags);
      expect(sections[0]?.[0]).toBe(":status: 200");
    }
  });

  h3Test("a request in early data is not taken", async ({ folder, tlsPort }) => {
    const session = [`--session-file=${folder}/session`, `--tp-file=${folder}/parameters`];
    await gtlsclient(tlsPort, folder, ["/node/request"], ...session);
    const { said, body } = await gtlsclient(tlsPort, folder, ["/node/request"], ...session);
    expect(said).toContain("Early data was rejected by server");
    expect(Buffer.from(body("request")).toString()).not.toContain("early-data");
  });

  h3Test(
    "a request in early data is taken and marked, if it is safe",
    async ({ folder, tlsPort }) => {
      const session = [`--session-file=${folder}/session`, `--tp-file=${folder}/parameters`];
      await gtlsclient(tlsPort, folder, ["/node/request"], ...session);
      const safe = await gtlsclient(tlsPort, folder, ["/node/request"], ...session);
      expect(safe.said).not.toContain("Early data was rejected");
      const { headers } = JSON.parse(Buffer.from(safe.body("request")).toString());
      expect(headers).toMatchObject({ "early-data": "1" });
      const unsafe = await gtlsclient(tlsPort, folder, ["/node/sum"], ...session, "-m", "DELETE");
      expect(unsafe.sections[0]?.[0]).toBe(":status: 425");
    },
    { early_data: true },
  );
});

describe("fetch", () => {
  h3Test("bodies of every size go there and back", async (gateway) => {
    for (const length of [0, 1, 1_199, 1_200, 16_383, 16_384, 65_536, 1_000_000]) {
      const body = LARGE.subarray(0, length);
      const answer = await ask(gateway, "/node/echo", { method: "POST", body });
      expect([answer.status, sha256(await answer.bytes())]).toEqual([200, sha256(body)]);
    }
  });

  h3Test("a hundred megabytes up, and down", async (gateway) => {
    const hash = createHash("sha256");
    const part = LARGE.subarray(0, 1_000_000);
    for (let i = 0; i < HUGE_BYTES / part.length; i++) hash.update(part);
    const body = new Uint8Array(HUGE_BYTES);
    for (let at = 0; at < HUGE_BYTES; at += part.length) body.set(part, at);
    const sum = await ask(gateway, "/node/sum", { method: "POST", body });
    const digest = hash.digest("hex");
    expect(await sum.json()).toMatchObject({ bytes: HUGE_BYTES, sha256: digest });
    const echo = await ask(gateway, "/node/echo", { method: "POST", body });
    const back = createHash("sha256");
    for await (const bytes of echo.body!) back.update(bytes);
    expect(back.digest("hex")).toBe(digest);
  });

  h3Test("a stream comes as it is sent", async (gateway) => {
    const events = await ask(gateway, "/node/stream");
    const reader = events.body!.getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value!).toString()).toBe("data: first\n\n");
    expect(await (await ask(gateway, "/node/go")).text()).toBe("went\n");
    const last = await reader.read();
    expect(Buffer.from(last.value!).toString()).toBe("data: last\n\n");
  });
});

h3Test("TCP announces it, QUIC is logged as HTTP/3.0, and both are counted", async (gateway) => {
  const url = `https://127.0.0.1:${gateway.tlsPort}/nginx/small`;
  for (const version of ["--http1.1", "--http2"]) {
    const { stdout } = await run([program("curl"), "-sik", version, url]);
    expect(stdout.toLowerCase()).toContain(`alt-svc: h3=":${gateway.tlsPort}"; ma=86400\r\n`);
  }
  const answer = await ask(gateway, "/nginx/small", { headers: { "user-agent": "by-quic" } });
  expect(answer.headers.get("alt-svc")).toBeNull();
  expect(await answer.text()).toBe(SMALL);
  await gateway.line(/"protocol":"HTTP\/3.0".*"user_agent":"by-quic"/);
});
