// `proxy top` in a terminal, against a server that tells what the test wants: what is shown, keys, and that the terminal comes
// back however it ends.

import { expect, test } from "bun:test";

import { FakeAdmin } from "../support/fake-admin.ts";
import { TerminalProgram } from "../support/terminal.ts";
import { until } from "../support/until.ts";
import { COMMAND, runProxy } from "./proxy-process.ts";
import { aConnection, aSnapshot, aTarget, twoSnapshots } from "./top/sample.ts";

const ENTERED = "\u001B[?1049h\u001B[?25l";
const RESTORED = "\u001B[?7h\u001B[?25h\u001B[?1049l";

interface Seen {
  readonly fake: FakeAdmin;
  readonly program: TerminalProgram;
}

/** Shows the first snapshot. */
async function withTop(use: (seen: Seen) => Promise<void>, options = {}): Promise<void> {
  await using fake = await FakeAdmin.start((path, method) => {
    if (path === "/api/stream") return "stream";
    if (path === "/api/targets") return [200, { ...aTarget({ state: "draining" }), alike: 1 }];
    return method === "DELETE" ? [200, { closed: 1 }] : [200, aSnapshot(0).status];
  });
  const words = ["top", "-admin", `127.0.0.1:${fake.port}`];
  await using program = new TerminalProgram(words, options);
  await fake.streaming;
  fake.snapshot(twoSnapshots()[0]);
  await program.shows(/> tcp :5432 +7 /);
  await use({ fake, program });
}

test(
  "a picture is drawn for each snapshot, and q gives the terminal back as it was",
  () =>
    withTop(async ({ fake, program }) => {
      fake.snapshot(twoSnapshots()[1]);
      await program.shows(/http :8080 +7 +0 +0 +0 +4\.5k +0\.6ms +9\.5ms/);
      expect(program.screen).toHaveLength(24);
      expect(program.output).toContain(ENTERED);
      expect(program.output).not.toContain(RESTORED);
      expect(program.isCooked).toBe(false);
      program.type("q");
      expect(await program.ended()).toBe(0);
      expect(program.output).toEndWith(RESTORED);
      expect(program.isCooked).toBe(true);
    }),
  30_000,
);

test(
  "a signal gives the terminal back, too",
  () =>
    withTop(async ({ program }) => {
      program.kill("SIGTERM");
      expect(await program.ended()).toBe(0);
      expect(program.output).toEndWith(RESTORED);
      expect(program.isCooked).toBe(true);
    }),
  30_000,
);

test.skipIf(process.platform !== "linux")(
  "ctrl-z gives the terminal back and stops, and the picture is drawn again when it goes on",
  () =>
    withTop(async ({ program }) => {
      program.type("\u001A");
      await until("the stop", () => program.isStopped);
      await until("all that it wrote", () => program.output.endsWith(RESTORED));
      expect(program.isCooked).toBe(true);
      program.kill("SIGCONT");
      await until("the terminal is taken again", () => program.output.split(ENTERED).length === 3);
      await until("the picture", () => program.output.endsWith("\u001B[?2026l"));
      expect(program.isCooked).toBe(false);
      program.type("q");
      expect(await program.ended()).toBe(0);
      expect(program.output).toEndWith(RESTORED);
    }),
  30_000,
);

test(
  "a connection is closed after a question, and a target drained and enabled",
  () =>
    withTop(async ({ fake, program }) => {
      program.type("\t\tc");
      await program.shows(/close the connection of 192\.0\.2\.7:40000 to 10\.0\.0\.3:5432\? y\/n/);
      program.type("y");
      await program.shows(/the connection of 192\.0\.2\.7:40000 is closed/);
      program.type("\u001B[Zd");
      await program.shows(/10\.0\.0\.3:5432 of tcp :5432 is draining/);
      program.type("e");
      await until("the last wish", () => fake.noted.length === 4);
      expect(fake.noted.slice(1).map(({ method, url, body }) => [method, url, body])).toEqual([
        ["DELETE", "/api/connections?worker=0&id=17", ""],
        [
          "POST",
          "/api/targets",
          '{"listener":"tcp :5432","target":"10.0.0.3:5432","state":"draining"}',
        ],
        [
          "POST",
          "/api/targets",
          '{"listener":"tcp :5432","target":"10.0.0.3:5432","state":"enabled"}',
        ],
      ]);
    }),
  30_000,
);

test(
  "what is selected moves with the arrows, and the help comes and goes",
  () =>
    withTop(async ({ program }) => {
      program.type("\u001B[B");
      await program.shows(/> http :8080/);
      program.type("?");
      await program.shows(/ctrl-l +draws the screen anew/);
      program.type("x");
      await program.shows(/> http :8080/);
    }),
  30_000,
);

test(
  "a pause keeps what is shown",
  () =>
    withTop(async ({ fake, program }) => {
      program.type("p");
      await program.shows(/PAUSED/);
      fake.snapshot(twoSnapshots()[1]);
      fake.cut();
      await program.shows(/LOST/);
      expect(program.screen.join("\n")).toMatch(/> tcp :5432 +7 /);
    }),
  30_000,
);

test(
  "a lost connection is told and tried again, with what was known before",
  () =>
    withTop(async ({ fake, program }) => {
      fake.cut();
      await program.shows(/LOST, TRYING AGAIN\n.*\nthe connection to 127\.0\.0\.1:\d+ is lost\n/);
      expect(program.screen.join("\n")).toMatch(/> tcp :5432 +7 /);
      await fake.streaming;
      fake.snapshot(twoSnapshots()[1]);
      await program.shows(/> tcp :5432 +8 /);
      expect(program.screen.join("\n")).not.toContain("LOST");
    }),
  30_000,
);

test(
  "the picture follows the terminal's size, and one that is too small is told",
  () =>
    withTop(async ({ program }) => {
      program.resize(120, 40);
      await until("the larger picture", () => program.screen.length === 40);
      program.resize(40, 10);
      await program.shows(/^this needs 60 columns and 14 lines\nhere are 40 and 10/);
    }),
  30_000,
);

test("a terminal without UTF-8 gets ASCII alone", async () => {
  const long = "[2001:db8:1234:5678:9abc:def0:1234:5678]:51000";
  const connections = [aConnection({ client: long, target: long })];
  await withTop(
    async ({ fake, program }) => {
      fake.snapshot(aSnapshot(1, { connections: { matching: 1, connections } }));
      await program.shows(/\[2001:db.*~.*51000/);
      expect(program.output).toMatch(/^[\u0000-\u007E]*$/);
    },
    { env: { LANG: "C" } },
  );
}, 30_000);

test("without a terminal one picture is printed, and with -n as many", async () => {
  await using fake = await FakeAdmin.start(() => "stream");
  const [first, second] = twoSnapshots();
  const running = runProxy("top", "-admin", `127.0.0.1:${fake.port}`);
  await fake.streaming;
  for (const snapshot of [first, second]) fake.snapshot(snapshot);
  const { code, stdout } = await running;
  expect(code).toBe(0);
  expect(stdout).toStartWith(
    `proxy 0.1.0 on 127.0.0.1:${fake.port}  process 4711  serving  up 1d 2h\n`,
  );
  expect(stdout).toContain("tcp :5432                    8      12          8    400 ");
  expect(stdout).not.toContain("\u001B");
  fake.cut();
  const two = runProxy("top", "-n", "2", "-admin", `127.0.0.1:${fake.port}`);
  await fake.streaming;
  for (const seconds of [0, 1, 2]) fake.snapshot(aSnapshot(seconds));
  expect((await two).stdout.match(/^proxy /gm)).toHaveLength(2);
}, 30_000);

test("whoever has read enough of the pictures ends them", async () => {
  await using fake = await FakeAdmin.start(() => "stream");
  const words = ["top", "-n", "1000", "-admin", `127.0.0.1:${fake.port}`];
  const child = Bun.spawn([...COMMAND, ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  await child.stdout.cancel();
  await fake.streaming;
  let seconds = 0;
  await until("the end", () => {
    fake.snapshot(aSnapshot(seconds++));
    return child.exitCode !== null;
  });
  expect(child.exitCode).toBe(0);
}, 30_000);

test("a proxy that cannot be asked is an error in the terminal as it was", async () => {
  await using fake = await FakeAdmin.start(() => [401, { error: "send the token" }]);
  await using program = new TerminalProgram(["top", "-admin", `127.0.0.1:${fake.port}`]);
  expect(await program.ended()).toBe(1);
  expect(program.output).toContain("wants a token. Name the file of admin.token_file");
  expect(program.output).not.toContain("\u001B[?1049h");
}, 30_000);
