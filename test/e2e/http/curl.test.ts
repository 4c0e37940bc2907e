// curl through the whole gateway, to backends that no one here wrote, in every version on the client's side.

import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { connectsAgain, curl, curlCommand, type Way, WAYS } from "../../support/curl.ts";
import { type Gateway, SMALL, STAGE_PROGRAMS, withStage } from "../../support/gateway.ts";
import { peakResidentBytes } from "../../support/proc.ts";
import { testWith } from "../../support/programs.ts";

const LARGE_BYTES = 20_000_003;
const HUGE_BYTES = 1024 ** 3;
const SUM_OF_ZEROS = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";
/** What a gateway that does not hold what it forwards may grow by; the collector takes its time. */
const GROWTH_BYTES = 96 * 1024 ** 2;
const PROGRAMS = [...STAGE_PROGRAMS, "curl"] as const;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function inEveryWay(
  name: string,
  use: (way: Way, gateway: Gateway) => Promise<void>,
  files: Readonly<Record<string, Uint8Array>> = {},
): void {
  for (const way of WAYS) {
    testWith(PROGRAMS, `${name} (${way.name})`, () =>
      withStage({ files }, (gateway) => use(way, gateway)),
    );
  }
}

inEveryWay(
  "the version that was asked for is spoken, and every backend answers",
  async (way, gateway) => {
    const paths = ["/nginx/small", "/caddy/small"];
    const { stdout } = await curl(way, gateway, paths, "-w", "%{http_version} %{num_connects}\n");
    const again = connectsAgain(way);
    expect(stdout).toBe(`${SMALL}${way.version} 1\n${SMALL}${way.version} ${again}\n`);
  },
);

const LARGE = randomBytes(LARGE_BYTES);

inEveryWay(
  "a large answer arrives as it was, whole and in part",
  async (way, gateway) => {
    for (const server of ["nginx", "caddy"]) {
      const saved = join(gateway.folder, "saved");
      await curl(way, gateway, `/${server}/large`, "-o", saved);
      expect(sha256(readFileSync(saved))).toBe(sha256(LARGE));
      await curl(way, gateway, `/${server}/large`, "-o", saved, "-r", "1000000-1999999");
      expect(readFileSync(saved).equals(LARGE.subarray(1_000_000, 2_000_000))).toBe(true);
    }
  },
  { large: LARGE },
);

inEveryWay(
  "HEAD says the length, and no body comes",
  async (way, gateway) => {
    const paths = ["/nginx/large", "/nginx/small"];
    const { stdout } = await curl(
      way,
      gateway,
      paths,
      "-I",
      "-w",
      "%{size_download} %{num_connects}\n",
    );
    expect(stdout).toMatch(new RegExp(`content-length: ${LARGE_BYTES}\\r\\n`, "i"));
    expect(stdout).toMatch(new RegExp(`content-length: ${SMALL.length}\\r\\n`, "i"));
    expect(stdout.match(/^0 [01]$/gm)).toEqual(["0 1", `0 ${connectsAgain(way)}`]);
  },
  { large: LARGE },
);

inEveryWay("a body that is sent comes back", async (way, gateway) => {
  const [sent, saved] = [join(gateway.folder, "sent"), join(gateway.folder, "saved")];
  writeFileSync(sent, LARGE);
  for (const framing of [[], ["-H", "Transfer-Encoding: chunked"]]) {
    // To HTTP/2, curl drops this field and sends no length.
    await curl(way, gateway, "/node/echo", "-T", sent, "-o", saved, ...framing);
    expect(sha256(readFileSync(saved))).toBe(sha256(LARGE));
  }
});

inEveryWay("trailers of an answer reach the client", async (way, gateway) => {
  const head = join(gateway.folder, "head");
  const { stdout } = await curl(way, gateway, "/node/trailers", "-D", head, "-H", "TE: trailers");
  expect(stdout).toBe("one two three\n");
  expect(readFileSync(head, "utf8")).toMatch(/\r\n\r\nx-sum: abc\r\nx-count: 3\r\n/i);
});

inEveryWay("a client that waits for 100 is told to go on", async (way, gateway) => {
  const sent = join(gateway.folder, "sent");
  writeFileSync(sent, LARGE.subarray(0, 2_000_000));
  const expecting = ["-H", "Expect: 100-continue", "--expect100-timeout", "30"];
  const { stdout, stderr } = await curl(way, gateway, "/node/sum", "-v", "-T", sent, ...expecting);
  expect(JSON.parse(stdout)).toMatchObject({ bytes: 2_000_000 });
  expect(stderr).toMatch(/^< HTTP\/(1\.1|2) 100/m);
});

inEveryWay("a stream is not held back", async (way, gateway) => {
  const command = curlCommand(way, gateway, "/node/stream", "-N");
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe" });
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    const before = text;
    text += decoder.decode(chunk, { stream: true });
    // The rest is not sent before somebody asks for it, which nobody does before the first part is here.
    if (before === "") await curl(way, gateway, "/node/go");
  }
  expect(text).toBe("data: first\n\ndata: last\n\n");
  expect(await child.exited).toBe(0);
});

inEveryWay("early hints come before the answer", async (way, gateway) => {
  const { stdout } = await curl(way, gateway, "/node/hints", "-i");
  expect(stdout).toMatch(
    /^HTTP\/\S+ 103.*\r\nlink: <\/style\.css>; rel=preload\r\n(\S.*\r\n)*\r\nHTTP\/\S+ 200/i,
  );
  expect(stdout).toEndWith("\r\n\r\nhinted\n");
});

inEveryWay("the backend learns who asked, for what, and by which way", async (way, gateway) => {
  const forged = [
    "-H",
    "X-Forwarded-For: 192.0.2.9",
    "-H",
    "Connection: x-secret",
    "-H",
    "X-Secret: 1",
  ];
  const flags = way.version === "2" ? forged.slice(0, 2) : forged;
  const { stdout } = await curl(way, gateway, "/node/request?a=b", ...flags);
  const { url, headers } = JSON.parse(stdout) as { url: string; headers: Record<string, string> };
  const port = way.scheme === "http" ? gateway.port : gateway.tlsPort;
  expect(url).toBe("/node/request?a=b");
  expect(headers).toMatchObject({
    host: `localhost:${port}`,
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": way.scheme,
    "x-forwarded-host": `localhost:${port}`,
  });
  expect(headers).not.toHaveProperty("x-secret");
  expect(headers).not.toHaveProperty("te");
});

inEveryWay("an answer without a body leaves the connection usable", async (way, gateway) => {
  const paths = ["/node/nothing", "/node/nothing", "/nginx/small"];
  const { stdout } = await curl(way, gateway, paths, "-w", "%{response_code} %{num_connects}\n");
  const again = connectsAgain(way);
  expect(stdout).toBe(`204 1\n204 ${again}\n${SMALL}200 ${again}\n`);
});

testWith(PROGRAMS, "HTTP/1.0 clients get answers of any kind, and no chunks", () =>
  withStage({ files: { large: LARGE } }, async (gateway) => {
    const way: Way = {
      name: "HTTP/1.0",
      scheme: "http",
      flags: ["--http1.0"],
      version: "1.1",
      keepsAlive: false,
    };
    const saved = join(gateway.folder, "saved");
    await curl(way, gateway, "/nginx/large", "-o", saved);
    expect(sha256(readFileSync(saved))).toBe(sha256(LARGE));
    const { stdout } = await curl(way, gateway, "/node/trailers", "-i");
    expect(stdout).toEndWith("\r\n\r\none two three\n");
    expect(stdout).not.toMatch(/transfer-encoding/i);
  }),
);

for (const way of WAYS) {
  testWith(
    PROGRAMS,
    `an upload of 1 GiB passes in bounded memory (${way.name})`,
    () =>
      withStage({}, async (gateway) => {
        await curl(way, gateway, "/nginx/small");
        const before = peakResidentBytes(gateway.pid);
        const sent = join(gateway.folder, "huge");
        writeFileSync(sent, "");
        truncateSync(sent, HUGE_BYTES); // a hole, which reads as zeros
        const { stdout } = await curl(way, gateway, "/node/sum", "-T", sent);
        const { bytes, sha256: sum } = JSON.parse(stdout) as { bytes: number; sha256: string };
        expect([bytes, sum]).toEqual([HUGE_BYTES, SUM_OF_ZEROS]);
        expect(peakResidentBytes(gateway.pid) - before).toBeLessThan(GROWTH_BYTES);
      }),
    180_000,
  );
}
