// Whether a unix socket file still has an owner, by both ways that the engine has to find out.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";

import { isAnswered } from "../../src/engine/stale-socket.ts";

const WAYS = process.platform === "linux" ? [true, false] : [false];
/** Without nc and without system calls nothing tells, and then no file may be taken. */
const canTell = (bySystemCall: boolean): boolean => bySystemCall || Bun.which("nc") !== null;

describe.each(WAYS)("by system call: %p", (bySystemCall) => {
  test("a socket file is answered as long as its owner lives", async () => {
    const folder = mkdtempSync("/tmp/bind-");
    const path = `${folder}/socket`;
    const script = `
      Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } });
      console.log("listening");`;
    const owner = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    try {
      await owner.stdout.getReader().read();
      expect(isAnswered(path, bySystemCall)).toBe(true);
      owner.kill("SIGKILL");
      await owner.exited;
      expect(isAnswered(path, bySystemCall)).toBe(!canTell(bySystemCall));
    } finally {
      owner.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
