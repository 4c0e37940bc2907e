// The folder of certificates: what it gives back, who may read it, and what crashes, full disks and other processes leave.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CertificateStorage } from "../../../src/control/acme/storage.ts";
import type { StoredOrder } from "../../../src/control/acme/storage/orders.ts";
import { certificateFolder } from "../../../src/control/acme/storage/paths.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { Authority } from "../../support/certificates.ts";
import { within } from "../../support/until.ts";

const HERE = import.meta.dir;
const T0 = Date.parse("2026-11-22T23:20:04.500Z");

let folder = "";
let storage: CertificateStorage;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "storage-")), "tls");
  storage = new CertificateStorage(folder);
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true, force: true }));

const secret = (text: string): Secret => Secret.of(Buffer.from(text));
const textOf = (key: Secret | undefined): string => Buffer.from(key!.reveal()).toString();
const issued = (text: string) => ({ chain: `chain ${text}`, key: secret(`key ${text}`) });
const signal = (): AbortSignal => AbortSignal.timeout(10_000);

function start(script: string, ...args: string[]) {
  const child = Bun.spawn([process.execPath, join(HERE, "storage", script), ...args], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return { child, said: firstLine(child.stdout) };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return Buffer.from(value ?? [])
    .toString()
    .trim();
}

describe("certificates", () => {
  test("what was saved is read, with where it came from", async () => {
    const { certificates } = storage;
    expect(await certificates.read("example.com")).toBeNull();
    expect(await certificates.list()).toEqual([]);

    await certificates.save(["example.com", "www.example.com"], issued("1"), "letsencrypt", T0);

    const read = await new CertificateStorage(folder).certificates.read("example.com");
    expect(read?.names).toEqual(["example.com", "www.example.com"]);
    expect(read?.authority).toBe("letsencrypt");
    expect(read?.issuedMs).toBe(T0);
    expect(read?.chain).toBe("chain 1");
    expect(textOf(read?.key)).toBe("key 1");
    expect(read?.chainFile).toBe(
      join(folder, "certificates/example.com/20261122T232004Z/chain.pem"),
    );
    expect(readFileSync(read!.keyFile, "utf8")).toBe("key 1");
  });

  test("the one before stays until the next, also within one second", async () => {
    const { certificates } = storage;
    for (const text of ["1", "2", "3"]) {
      await certificates.save(["example.com"], issued(text), "letsencrypt", T0);
    }
    expect((await certificates.read("example.com"))?.chain).toBe("chain 3");
    expect((await certificates.readReplaced("example.com"))?.chain).toBe("chain 2");
    expect(readdirSync(certificates.folderOf("example.com"))).toHaveLength(3);
  });

  test("wildcards and addresses have folders that every file system takes", async () => {
    const { certificates } = storage;
    const names = ["*.example.com", "2001:db8::1", "192.0.2.1", "localhost"];
    for (const name of names) await certificates.save([name], issued(name), "internal", T0);
    expect(readdirSync(join(folder, "certificates")).toSorted()).toEqual([
      "192.0.2.1",
      "2001_db8__1",
      "_wildcard.example.com",
      "localhost",
    ]);
    expect(await certificates.list()).toEqual(names.toSorted());
    for (const name of names) {
      expect((await certificates.read(name))?.chain).toBe(`chain ${name}`);
    }
  });

  test("what is no name is refused a lock as everything else that goes wrong", async () => {
    const refused = storage.lockCertificate("_a.example", AbortSignal.timeout(5_000));
    await expect(refused).rejects.toMatchObject({ code: "ERR_STORAGE" });
  });

  for (const name of [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "a..b",
    "A.example",
    "a\0b",
    ".a",
    "*",
  ]) {
    test(`${JSON.stringify(name)} is no name, and leads nowhere`, () => {
      expect(() => certificateFolder(name)).toThrow("is no name of a certificate");
    });
  }

  test("folders and files are for their owner alone", async () => {
    const previous = process.umask(0);
    try {
      const stored = await storage.certificates.save(["example.com"], issued("1"), "x", T0);
      await storage.accounts.saveKey("letsencrypt", secret("account"));
      const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
      expect(modeOf(stored.keyFile)).toBe("600");
      expect(modeOf(stored.chainFile)).toBe("600");
      expect(modeOf(folder)).toBe("700");
      expect(modeOf(join(folder, "certificates/example.com"))).toBe("700");
      expect(modeOf(join(folder, "accounts/letsencrypt/key.pem"))).toBe("600");
    } finally {
      process.umask(previous);
    }
  });

  test("notes of a schedule are kept before there is a certificate, and forgotten with the next", async () => {
    const { certificates } = storage;
    const failure = {
      authority: "letsencrypt",
      count: 3,
      firstMs: T0,
      recentMs: [T0],
      lastMs: T0 + 1_000,
      notBeforeMs: T0 + 60_000,
      isFinal: false,
      failedChallenges: [{ name: "example.com", type: "http-01" as const }],
      message: "the authority could not connect",
    };
    const window = { startMs: T0, endMs: T0 + 1, explanationUrl: "https://x/", askAgainMs: T0 + 2 };
    await certificates.note(["example.com"], { renewalWindow: null, failures: [failure] });
    expect(await certificates.read("example.com")).toBeNull();
    expect((await certificates.record("example.com"))?.failures).toEqual([failure]);

    await certificates.save(["example.com"], issued("1"), "letsencrypt", T0);
    expect((await certificates.record("example.com"))?.failures).toEqual([]);

    await certificates.note(["example.com"], { renewalWindow: window, failures: [] });
    expect((await certificates.record("example.com"))?.renewalWindow).toEqual(window);
    expect((await certificates.read("example.com"))?.chain).toBe("chain 1");
  });

  test("what is removed is gone with its key", async () => {
    const { certificates } = storage;
    await certificates.save(["example.com"], issued("1"), "letsencrypt", T0);
    await certificates.remove("example.com");
    await certificates.remove("example.com");
    expect(await certificates.list()).toEqual([]);
    expect(existsSync(certificates.folderOf("example.com"))).toBe(false);
  });

  test("a damaged file is an error that names it, its field and the cure", async () => {
    const { certificates } = storage;
    await certificates.save(["example.com"], issued("1"), "letsencrypt", T0);
    const path = join(certificates.folderOf("example.com"), "certificate.json");
    const good = JSON.parse(readFileSync(path, "utf8"));
    const read = (text: string) => {
      writeFileSync(path, text);
      return certificates.read("example.com");
    };
    const damaged = (what: string) => expect.stringContaining(`${path}${what}`);
    for (const [text, problem] of [
      ["{", ": the file is damaged: "],
      ["[]", ": the file is damaged: it holds no object"],
      [JSON.stringify({ ...good, names: "x" }), ": the file is damaged: names is not a list"],
      [JSON.stringify({ ...good, current: 1 }), ": current: the file is damaged: it holds no"],
      [
        JSON.stringify({ ...good, current: { ...good.current, version: "../.." } }),
        ': the file is damaged: "../.." is no version',
      ],
    ] as const) {
      await expect(read(text)).rejects.toMatchObject({
        code: "ERR_STORAGE",
        message: damaged(problem),
      });
    }
  });

  test("a process that is killed while it saves leaves a pair that fits", async () => {
    for (let round = 0; round < 8; round++) {
      const { child, said } = start("saver.ts", folder, "example.com");
      expect(await within("the saver", said)).toBe("begun");
      // Let it come to another place of its loop each time.
      for (let i = 0; i < round * 37; i++) await storage.certificates.read("example.com");
      child.kill("SIGKILL");
      await child.exited;
      const read = await storage.certificates.read("example.com");
      if (read !== null) expect(textOf(read.key)).toBe(read.chain);
    }
    // And the next one cleans up after them.
    await storage.certificates.save(["example.com"], issued("last"), "x", T0);
    const left = readdirSync(storage.certificates.folderOf("example.com"));
    expect(left).toHaveLength((await storage.certificates.readReplaced("example.com")) ? 3 : 2);
    expect(left.filter((name) => name.endsWith(".draft"))).toEqual([]);
  }, 60_000);

  test("on a full disk the certificate before stays in use, and the error names the file", async () => {
    await storage.certificates.save(["example.com"], issued("1"), "letsencrypt", T0);
    const script = join(HERE, "storage/full-disk.ts");
    // No file may become larger than 8 KiB: what writes more gets an error, once the signal is ignored.
    const limited = `trap '' XFSZ; ulimit -f 16; exec "$0" "$@"`;
    const env = { ...process.env, BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" };
    const child = Bun.spawn(["sh", "-c", limited, process.execPath, script, folder], {
      stdout: "pipe",
      env,
    });
    const said = await within("the report", new Response(child.stdout).text());
    expect(said).toContain("key.pem: the file cannot be written: the disk is full (EFBIG)");
    expect(said).toContain("Free space there");
    const read = await storage.certificates.read("example.com");
    expect([read?.chain, textOf(read?.key)]).toEqual(["chain 1", "key 1"]);
    await storage.certificates.save(["example.com"], issued("2"), "letsencrypt", T0);
    expect((await storage.certificates.read("example.com"))?.chain).toBe("chain 2");
    expect(readdirSync(storage.certificates.folderOf("example.com"))).toHaveLength(3);
  });

  test("a folder that cannot be made names the reason and the cure", async () => {
    mkdirSync(join(folder, ".."), { recursive: true });
    writeFileSync(folder, "a file");
    await expect(storage.prepare(signal())).rejects.toMatchObject({
      code: "ERR_STORAGE",
      message: expect.stringMatching(/no folder|a file where a folder should be/),
      cure: "Name another folder (auto_tls: storage)",
    });
  });

  test("a folder that is closed to us says so", async () => {
    const closed = new CertificateStorage("/sys/bun-tunnel"); // to root too
    await expect(closed.prepare(signal())).rejects.toMatchObject({
      code: "ERR_STORAGE",
      message: expect.stringMatching(/permission denied|read-only/),
      cure: expect.stringContaining("another folder (auto_tls: storage)"),
    });
  });
});

describe("accounts", () => {
  test("an account is read as it was saved, and a new key forgets it", async () => {
    const { accounts } = storage;
    expect(await accounts.key("letsencrypt")).toBeNull();
    await accounts.saveKey("letsencrypt", secret("one"));
    expect(await accounts.read("letsencrypt")).toBeNull();
    const account = {
      url: "https://ca/account/1",
      directory: "https://ca/dir",
      email: "a@example.com",
      eabKeyId: null,
      createdMs: T0,
    };
    await accounts.save("letsencrypt", account);
    expect(await accounts.read("letsencrypt")).toEqual(account);
    expect(textOf((await accounts.key("letsencrypt"))!)).toBe("one");
    await accounts.saveKey("letsencrypt", secret("two"));
    expect(await accounts.read("letsencrypt")).toBeNull();
  });

  test("names with ports and slashes are folders", async () => {
    await storage.accounts.saveKey("127.0.0.1:14000/dir", secret("one"));
    expect(readdirSync(join(folder, "accounts"))).toEqual(["127.0.0.1_14000_dir"]);
  });
});

describe("orders", () => {
  const order = (key: Secret): StoredOrder => ({
    url: "https://ca/order/1",
    directory: "https://ca/dir",
    account: "https://ca/account/1",
    names: ["*.example.com", "example.com"],
    keyType: "p384",
    profile: "shortlived",
    createdMs: T0,
    key,
  });

  test("an order is read as it was saved, until its certificate is", async () => {
    using authority = new Authority();
    const { cert, key } = authority.issue(["*.example.com"]);
    const { certificates, orders } = storage;
    expect(await orders.read("*.example.com")).toBeNull();
    await orders.save(order(secret(key)));
    const read = await orders.read("*.example.com");
    expect({ ...read, key: textOf(read?.key) }).toEqual({ ...order(secret("")), key } as never);

    await certificates.save(order(secret(key)).names, { chain: cert, key: secret(key) }, "x", T0);
    expect(await orders.read("*.example.com")).toBeNull();
    // A crash between the two steps: the order is there, and its certificate is in use.
    await orders.save(order(secret(key)));
    expect(await orders.read("*.example.com")).toBeNull();
    await orders.remove("*.example.com");
  });
});

describe("locks", () => {
  test("a second holder waits, in the same process too", async () => {
    const first = await storage.lockCertificate("example.com", signal());
    const others = await storage.lockCertificate("www.example.com", signal());
    let second = false;
    const waiting = storage.lockCertificate("example.com", signal()).then((lock) => {
      second = true;
      return lock;
    });
    await storage.lockAccount("example.com", signal());
    expect(second).toBe(false);
    first.release();
    first.release();
    (await within("the second", waiting)).release();
    others.release();
  });

  test("whoever waits can give up", async () => {
    const lock = await storage.lockCertificate("example.com", signal());
    const giveUp = new AbortController();
    const waiting = storage.lockCertificate("example.com", giveUp.signal);
    giveUp.abort(new Error("stopped"));
    await expect(within("the end", waiting)).rejects.toThrow("stopped");
    lock.release();
  });

  test("a holder that is killed leaves no lock behind", async () => {
    (await storage.lockCertificate("example.com", signal())).release();
    const path = join(folder, "locks/certificates/example.com.lock");
    const { child, said } = start("holder.ts", path);
    expect(await within("the holder", said)).toBe("held");
    const giveUp = AbortSignal.timeout(300);
    await expect(storage.lockCertificate("example.com", giveUp)).rejects.toThrow();
    const waiting = storage.lockCertificate("example.com", signal());
    child.kill("SIGKILL");
    (await within("the lock", waiting)).release();
    await child.exited;
  });
});
