// The client of the admin listener's API, against servers that are none, and against what is wrong with one.

import { expect, test } from "bun:test";

import { AdminClient } from "../../../src/control/admin/client.ts";
import { type Snapshot, status as schema } from "../../../src/control/admin/schemas.ts";
import { parseEndpoint } from "../../../src/shared/address.ts";
import { aSnapshot } from "../../commands/top/sample.ts";
import { freePort, inFolder } from "../../support/daemon.ts";
import { FakeAdmin } from "../../support/fake-admin.ts";
import { within } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";

const { status } = aSnapshot(0);
const WISH = { path: "/api/status" };

const clientAt = (address: string): AdminClient =>
  new AdminClient({ listen: parseEndpoint(address, "listen"), token: null, cure: "Start it" });

test("an answer comes with its value and as it was written", async () => {
  await using fake = await FakeAdmin.start(() => [200, { ...status, more: 1 }]);
  const { value, text } = await new AdminClient(fake.place()).get(schema, WISH);
  expect(value).toEqual(status);
  expect(JSON.parse(text)).toMatchObject({ more: 1 });
});

test("the query, the body and the token are sent", async () => {
  await using fake = await FakeAdmin.start(() => [200, status]);
  const client = new AdminClient(fake.place("a-token-of-some-length"));
  const query = { listener: "tcp :80", worker: 0, id: undefined };
  await client.get(schema, { method: "POST", path: "/api/x", query, body: { a: 1 } });
  expect(fake.noted).toEqual([
    {
      method: "POST",
      url: "/api/x?listener=tcp+%3A80&worker=0",
      authorization: "Bearer a-token-of-some-length",
      body: '{"a":1}',
    },
  ]);
});

test("where nobody answers, the address and the cure are named", async () => {
  const port = await freePort();
  const asked = clientAt(`127.0.0.1:${port}`).get(schema, WISH);
  await expect(asked).rejects.toThrow(`no proxy answers on 127.0.0.1:${port}. Start it`);
  await inFolder(async (folder) => {
    const unix = clientAt(`unix:${folder}/none.sock`).get(schema, WISH);
    await expect(unix).rejects.toThrow(`no proxy answers on unix:${folder}/none.sock`);
  });
});

test("a token that is missing or not the right one is told apart", async () => {
  await using fake = await FakeAdmin.start(() => [401, { error: "send the token" }]);
  const missing = new AdminClient(fake.place()).get(schema, WISH);
  await expect(missing).rejects.toThrow(
    "wants a token. Name the file of admin.token_file: -token-file FILE",
  );
  const wrong = new AdminClient(fake.place("not-the-right-one")).get(schema, WISH);
  await expect(wrong).rejects.toThrow("has another token");
});

test("another program is told for what it is, whatever it answers", async () => {
  for (const answer of [
    [200, "hello"],
    [200, { ok: true }],
    [404, "not found"],
    [502, { error: "Bad Gateway" }],
  ] as const) {
    await using fake = await FakeAdmin.start(() => answer);
    const asked = new AdminClient(fake.place()).get(schema, WISH);
    await expect(asked).rejects.toThrow(`what answers on 127.0.0.1:${fake.port} is not a proxy`);
  }
});

test("a server that speaks another protocol is told for what it is", async () => {
  await using ssh = await WireServer.listen((wire) => void wire.write("SSH-2.0-OpenSSH_9.6\r\n"));
  const asked = clientAt(`127.0.0.1:${ssh.port}`).get(schema, WISH);
  await expect(asked).rejects.toThrow(`127.0.0.1:${ssh.port} does not speak HTTP`);
});

test("a proxy of another version is told by its version", async () => {
  await using fake = await FakeAdmin.start((path) =>
    path === "/api/status"
      ? [200, { version: "9.9\u001B", pid: 7, phase: "serving" }]
      : [404, { error: "there is nothing here" }],
  );
  const asked = new AdminClient(fake.place()).get(schema, { path: "/api/targets" });
  await expect(asked).rejects.toThrow(
    /process 7\) does not answer \/api\/targets as this one would: it is version 9\.9\\u001b/,
  );
});

test("what the proxy refuses is told in its own words, without what could move a cursor", async () => {
  await using fake = await FakeAdmin.start(() => [422, { error: "bad\u001B[2J" }]);
  const client = new AdminClient(fake.place());
  await expect(client.get(schema, WISH)).rejects.toThrow(
    `127.0.0.1:${fake.port} answers: bad\\u001b[2J`,
  );
  expect(await client.ask(schema, WISH)).toMatchObject({ done: false, status: 422 });
});

test("a failure that the proxy itself tells is told in its words", async () => {
  await using fake = await FakeAdmin.start((path) =>
    path === "/api/status" ? [200, status] : [503, { error: "a worker does not answer" }],
  );
  const asked = new AdminClient(fake.place()).get(schema, { path: "/api/targets" });
  await expect(asked).rejects.toThrow("answers: a worker does not answer");
});

test("a proxy that does not answer in time is given up", async () => {
  await using fake = await FakeAdmin.start(() => "silence");
  const asked = new AdminClient(fake.place()).get(schema, { ...WISH, timeoutMs: 50 });
  await expect(asked).rejects.toThrow(`the proxy on 127.0.0.1:${fake.port} does not answer`);
});

test("every address of this machine is asked on its loopback interface", async () => {
  await using fake = await FakeAdmin.start(() => [200, status]);
  for (const address of [`:${fake.port}`, `0.0.0.0:${fake.port}`]) {
    expect((await clientAt(address).get(schema, WISH)).value).toEqual(status);
  }
});

test("snapshots come one by one, and a connection that is lost ends them with an error", async () => {
  await using fake = await FakeAdmin.start(() => "stream");
  const snapshots = new AdminClient(fake.place()).snapshots(new AbortController().signal);
  const first = snapshots.next();
  await fake.streaming;
  fake.push("event: other\ndata: x\n\n");
  fake.snapshot(aSnapshot(1));
  expect((await first).value).toEqual(aSnapshot(1));
  const second = snapshots.next();
  fake.cut();
  await expect(second).rejects.toThrow(`the connection to 127.0.0.1:${fake.port} is lost`);
});

test("a snapshot that is none ends the stream with what answers there", async () => {
  await using fake = await FakeAdmin.start((path) =>
    path === "/api/stream" ? "stream" : [200, "hello"],
  );
  const next = new AdminClient(fake.place()).snapshots(new AbortController().signal).next();
  await fake.streaming;
  fake.push("event: snapshot\ndata: {}\n\n");
  await expect(next).rejects.toThrow("is not a proxy");
});

test("who listens no more leaves without an error", async () => {
  await using fake = await FakeAdmin.start(() => "stream");
  const ended = new AbortController();
  const seen: Snapshot[] = [];
  const following = (async () => {
    for await (const snapshot of new AdminClient(fake.place()).snapshots(ended.signal)) {
      seen.push(snapshot);
      ended.abort();
    }
  })();
  await fake.streaming;
  fake.snapshot(aSnapshot(1));
  await within("the end", following);
  expect(seen).toHaveLength(1);
});
