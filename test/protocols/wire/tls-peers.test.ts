// Wires over TLS towards peers that no one here wrote: how they end, which ciphers and versions are taken, which certificate is
// shown, and what is resumed. Python's ssl module where close_notify and FIN matter, openssl(1) elsewhere.

import { afterAll, describe, expect } from "bun:test";

import type { WireServer } from "../../../src/protocols/wire/open.ts";
import { ServerTls } from "../../../src/protocols/wire/tls-context.ts";
import { listenTls } from "../../../src/protocols/wire/tls.ts";
import type { TlsServerPlan } from "../../../src/shared/http-plan.ts";
import { Authority, type Issued } from "../../support/certificates.ts";
import { listenerPlan } from "../../support/plan.ts";
import { program, testWith } from "../../support/programs.ts";
import { type PeerOptions, TlsPeer } from "../../support/tls-peer.ts";
import { until, within } from "../../support/until.ts";
import { Recorder } from "./recorder.ts";

const authority = new Authority();
const SERVER = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const { socket: SOCKET } = listenerPlan({ target: "127.0.0.1:1" });

class Listening implements Disposable {
  readonly tls: ServerTls;
  readonly refusals: string[] = [];
  readonly #ready: Recorder[] = [];
  /** Takes the client of `ask`. */
  #asked: ((server: Recorder) => void) | null = null;
  readonly #all: Recorder[] = [];
  readonly #server: WireServer;

  constructor(plan: Partial<TlsServerPlan> = {}, shown: readonly Issued[] = [SERVER]) {
    const all = {
      certificates: [],
      clientCaFile: null,
      clientAuth: "none",
      managed: false,
      onDemand: false,
      minVersion: "1.2",
      alpn: [],
    } as const;
    this.tls = new ServerTls(
      { ...all, ...plan },
      { certificates: shown.map(({ material }) => material), clientCa: null },
    );
    this.#server = listenTls<null | object>({
      tls: this.tls,
      handshakeMs: 5_000,
      tellTruncation: true,
      address: { kind: "ip", host: "127.0.0.1", port: 0 },
      reusePort: false,
      exclusive: true,
      socket: SOCKET,
      setOptions: () => {},
      watermarks: { highBytes: 262_144, lowBytes: 65_536 },
      onAccept: () => ({}),
      onWire: (wire) => {
        const recorder = new Recorder();
        recorder.adopt(wire);
        this.#all.push(recorder);
        if (this.#asked === null) this.#ready.push(recorder);
        else this.#asked(recorder);
      },
      onRefused: (_ticket, error) => void this.refusals.push(error.message),
    });
  }

  get port(): number {
    const { address } = this.#server;
    return address.kind === "ip" ? address.port : 0;
  }

  async accept(): Promise<Recorder> {
    await until("a client", () => this.#ready.length > 0);
    return this.#ready.shift()!;
  }

  async peer(options: Partial<PeerOptions> = {}): Promise<{ peer: TlsPeer; server: Recorder }> {
    const peer = await TlsPeer.connect({ port: this.port, caFile: authority.caFile, ...options });
    return { peer, server: await this.accept() };
  }

  /** What openssl(1) says of a connection. @returns everything that it prints. */
  async ask(...args: string[]): Promise<string> {
    const connect = ["-connect", `127.0.0.1:${this.port}`, "-CAfile", authority.caFile];
    const child = Bun.spawn([program("openssl"), "s_client", ...connect, ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    const accepted = new Promise<void>((resolve) => {
      this.#asked = (server) => {
        server.write(Buffer.from("hello\n")); // a ticket has come before it
        server.onEndOf = () => server.end();
        resolve();
      };
    });
    await Promise.race([accepted, child.exited]);
    this.#asked = null;
    child.stdin.end();
    return (await within("openssl", output)).join("\n");
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.#server.abort();
    for (const { wire } of this.#all) wire.reset();
  }
}

for (const version of ["1.2", "1.3"] as const) {
  describe(`ends, TLS ${version}`, () => {
    testWith(
      ["python3"],
      "the peer ends its direction with close_notify, and still reads",
      async () => {
        using listening = new Listening();
        const { peer, server } = await listening.peer({ version });
        await using _peer = peer;
        await peer.do("send question", "notify");
        await within("the end", server.ended);
        expect(server.text).toBe("question");
        server.write(Buffer.from("answer"));
        expect(await peer.next()).toBe("data answer");
        server.write(Buffer.from(", late"));
        expect(await peer.next()).toBe("data , late");
        expect(server.isClosed).toBe(false);
        server.end();
        expect(await peer.next()).toBe("notify");
        expect(await within("the close", server.closed)).toBeNull();
      },
    );

    testWith(
      ["python3"],
      "the peer ends its direction with close_notify and FIN, and still reads",
      async () => {
        using listening = new Listening();
        const { peer, server } = await listening.peer({ version });
        await using _peer = peer;
        await peer.do("send question", "notify", "fin");
        await within("the end", server.ended);
        server.write(Buffer.from("answer"));
        expect(await peer.next()).toBe("data answer");
        server.end();
        expect(await peer.next()).toBe("notify");
        expect(await peer.next()).toBe("fin");
        expect(await within("the close", server.closed)).toBeNull();
      },
    );

    testWith(["python3"], "we end our direction with close_notify, and still read", async () => {
      using listening = new Listening();
      const { peer, server } = await listening.peer({ version });
      await using _peer = peer;
      server.write(Buffer.from("all there is"));
      server.end();
      expect(await peer.next()).toBe("data all there is");
      expect(await peer.next()).toBe("notify");
      await peer.do("send thanks");
      await until("what the peer sends", () => server.text === "thanks");
      await peer.do("notify", "fin");
      expect(await within("the close", server.closed)).toBeNull();
      expect(server.hasEnded).toBe(true);
    });

    testWith(["python3"], "a FIN without close_notify is no end", async () => {
      using listening = new Listening();
      const { peer, server } = await listening.peer({ version });
      await using _peer = peer;
      await peer.do("send all that", "fin");
      const error = await within("the close", server.closed);
      expect(error).toMatchObject({ code: "ERR_TLS_TRUNCATED" });
      expect(server.text).toBe("all that");
      expect(server.hasEnded).toBe(false);
    });

    testWith(
      ["python3"],
      "a FIN without close_notify is no end after we have ended, either",
      async () => {
        using listening = new Listening();
        const { peer, server } = await listening.peer({ version });
        await using _peer = peer;
        server.end();
        expect(await peer.next()).toBe("notify");
        await peer.do("fin");
        expect(await within("the close", server.closed)).toMatchObject({
          code: "ERR_TLS_TRUNCATED",
        });
      },
    );

    testWith(["python3"], "a reset is one for the other side, both ways", async () => {
      using listening = new Listening();
      const one = await listening.peer({ version });
      await using _one = one.peer;
      await one.peer.do("reset");
      expect(await within("the close", one.server.closed)).toMatchObject({ code: "ECONNRESET" });
      const two = await listening.peer({ version });
      await using _two = two.peer;
      two.server.wire.reset();
      expect(await two.peer.next()).toBe("reset");
    });
  });
}

describe("what is agreed upon", () => {
  testWith(
    ["openssl"],
    "TLS 1.2 is with forward secrecy and authenticated encryption, or not at all",
    async () => {
      const rsa = authority.issue(["a.example"], { keyType: "rsa" });
      using listening = new Listening({}, [SERVER, rsa]);
      for (const cipher of ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]) {
        expect(await listening.ask("-tls1_2", "-cipher", cipher)).toContain(`Cipher is ${cipher}`);
      }
      for (const cipher of [
        "AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
      ]) {
        expect(await listening.ask("-tls1_2", "-cipher", cipher)).toContain("Cipher is (NONE)");
      }
      const old = await listening.ask("-tls1_1", "-cipher", "ALL@SECLEVEL=0");
      expect(old).toContain("alert protocol version");
      expect(listening.refusals.some((text) => text.includes("no cipher in common"))).toBe(true);
    },
  );

  testWith(["openssl"], "min_version 1.3 refuses 1.2", async () => {
    using listening = new Listening({ minVersion: "1.3" });
    expect(await listening.ask("-tls1_2")).toContain("alert protocol version");
    expect(await listening.ask("-tls1_3")).toContain("Verify return code: 0 (ok)");
    expect(listening.refusals).toEqual(["it has no TLS version in common"]);
  });

  for (const version of ["-tls1_2", "-tls1_3"]) {
    testWith(
      ["openssl"],
      `a client that does not take our certificate is said to: ${version}`,
      async () => {
        using listening = new Listening();
        await listening.ask(version, "-verify_return_error", "-verify_hostname", "other.example");
        await until("it is told", () => listening.refusals.length > 0);
        const [refusal] = listening.refusals;
        expect(refusal).toMatch(/^it refused our certificate$|that do not trust our certificate$/);
      },
    );
  }

  testWith(["openssl"], "a session is resumed, in both versions", async () => {
    using listening = new Listening();
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const file = `${authority.folder}/session${version}`;
      expect(await listening.ask(version, "-sess_out", file)).toContain("New, TLS");
      expect(await listening.ask(version, "-sess_in", file)).toContain("Reused, TLS");
    }
  });
});

describe("the certificate that is shown", () => {
  const subjectOf = (said: string): string => /subject=(.*)/.exec(said)?.[1] ?? said;

  testWith(
    ["openssl"],
    "is the one for the name: exact, then a wildcard of one label, then the first",
    async () => {
      const shown = [
        SERVER,
        authority.issue(["*.w.example"], { name: "wildcard" }),
        authority.issue(["x.w.example", "other.example"], { name: "exact" }),
      ];
      using listening = new Listening({}, shown);
      for (const [name, subject] of [
        ["a.example", "CN = a.example"],
        ["x.w.example", "CN = exact"],
        ["OTHER.example", "CN = exact"],
        ["y.w.example", "CN = wildcard"],
        ["z.y.w.example", "CN = a.example"],
        ["w.example", "CN = a.example"],
        ["unknown", "CN = a.example"],
      ] as const) {
        expect([name, subjectOf(await listening.ask("-servername", name))]).toEqual([
          name,
          subject,
        ]);
      }
      expect(subjectOf(await listening.ask("-noservername"))).toBe("CN = a.example");
    },
  );

  testWith(["openssl"], "is the one whose key the client takes", async () => {
    const rsa = authority.issue(["a.example"], { keyType: "rsa", name: "rsa" });
    using listening = new Listening({}, [SERVER, rsa]);
    const ask = async (algorithm: string): Promise<string> =>
      subjectOf(await listening.ask("-sigalgs", algorithm));
    expect(await ask("RSA-PSS+SHA256")).toBe("CN = rsa");
    expect(await ask("ECDSA+SHA256")).toBe("CN = a.example");
  });
});
