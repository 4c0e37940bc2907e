// Whoever looks on while a proxy is upgraded: the stream of the old process ends in order, the new one answers at the same
// address and has a stream of its own, and `proxy top` goes over to it by itself.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { snapshot } from "../../src/control/admin/schemas.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { Service } from "../support/service.ts";
import { TerminalProgram } from "../support/terminal.ts";
import { within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

/** @returns the processes that told of themselves, in order, to the end of the stream, which was in order too. */
async function readToEnd(response: Response): Promise<number[]> {
  const text = await response.text(); // rejects if the connection is lost within
  const events = text.split("\n\n");
  expect(events.pop()).toBe(""); // none was cut short
  return events.map((event) => {
    const [name, data = ""] = event.split("\n");
    expect(name).toBe("event: snapshot");
    return snapshot.parse(JSON.parse(data.slice("data: ".length))).status.pid;
  });
}

test.skipIf(process.platform !== "linux")(
  "a stream ends in order with an upgrade, the new process has the next, and proxy top goes over to it",
  () =>
    inFolder(async (folder) => {
      await using echo = await WireServer.echo();
      const [port, admin] = [await freePort(), `127.0.0.1:${await freePort()}`];
      const file = join(folder, "proxy.yaml");
      const protocols = [{ name: "tcp", listen: `127.0.0.1:${port}`, target: echo.target }];
      writeFileSync(file, stringify({ admin: { listen: admin }, protocols }));
      await using service = await Service.start(folder, "-config", file);
      const old = service.pid;
      const wire = await Wire.connect({ host: "127.0.0.1", port });
      await wire.write("abc");
      expect(await wire.readBytes(3)).toBe("abc");
      const open = (): Promise<Response> =>
        fetch(`http://${admin}/api/stream`, { keepalive: false });
      await using top = new TerminalProgram(["top", "-config", file], { columns: 120 });
      await top.shows(new RegExp(`  process ${old}  `));
      const first = readToEnd(await open());

      const next = await service.upgrade();
      const told = await within("the end of the stream", first, 30_000);
      expect(new Set(told)).toEqual(new Set([old]));
      await top.shows(new RegExp(`  process ${next}  `));
      expect(top.screen.join("\n")).not.toContain("LOST");
      const second = readToEnd(await open());
      await wire.write("def"); // the old process goes on with what it has
      expect(await wire.readBytes(3)).toBe("def");
      wire.end();
      await wire.ending;
      top.type("q");
      expect(await top.ended()).toBe(0);

      const { code, stderr } = await service.stop();
      expect(code).toBe(0);
      expect(new Set(await within("the end of the other", second))).toEqual(new Set([next]));
      expect(stderr).not.toMatch(/"level":"(warn|error)"/);
    }),
  60_000,
);
