// What operators want of targets outlives an upgrade, also what they want while it is under way, and is over with a restart.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";
import type { z } from "zod";

import { status, targets } from "../../src/control/admin/schemas.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { Service } from "../support/service.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const TEST_MS = 60_000;
const isLinux = process.platform === "linux";

const named = (name: string) =>
  WireServer.listen((wire) => {
    wire.onData(() => void wire.write(name));
    void wire.ending.then(() => wire.end());
  });

/** The targets that some clients came to, one behind the other. */
async function seen(port: number): Promise<string> {
  const names = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const wire = await Wire.connect({ host: "127.0.0.1", port });
    await wire.write("?");
    names.add(await within("the answer", wire.readBytes(1)));
    wire.reset();
  }
  return [...names].toSorted().join("");
}

/** The API of whichever process has the address. */
class Api {
  readonly #admin: string;
  readonly #listener: string;

  constructor(admin: string, listener: string) {
    this.#admin = admin;
    this.#listener = listener;
  }

  async want(target: string, wish: Partial<z.infer<typeof targets>[number]>): Promise<void> {
    const body = JSON.stringify({ listener: this.#listener, target, ...wish });
    await until("the API takes it", async () => {
      const answer = await this.#ask("targets", { method: "POST", body });
      return answer?.status === 200;
    });
  }

  async isOf(pid: number): Promise<void> {
    await until(`the API is of process ${pid}`, async () => {
      const answer = await this.#ask("status");
      return answer !== null && status.parse(await answer.json()).pid === pid;
    });
  }

  /** `name state weight` of each, with the ports of the targets as their names. */
  async list(): Promise<string[]> {
    const answer = await this.#ask("targets");
    const all = targets.parse(await answer!.json());
    return all.map(({ name, state, weight }) => `${name} ${state} ${weight}`);
  }

  /** Nobody may have the address for a moment. */
  #ask(path: string, init: RequestInit = {}): Promise<Response | null> {
    return fetch(`http://${this.#admin}/api/${path}`, { ...init, keepalive: false }).catch(
      () => null,
    );
  }
}

test.if(isLinux)(
  "targets are as operators want them behind an upgrade, and as configured behind a restart",
  () =>
    inFolder(async (folder) => {
      await using a = await named("a");
      await using b = await named("b");
      await using c = await named("c");
      const [port, admin] = [await freePort(), `127.0.0.1:${await freePort()}`];
      const listen = `127.0.0.1:${port}`;
      const file = join(folder, "proxy.yaml");
      const write = (...all: readonly { readonly target: string }[]): void => {
        const protocols = [{ name: "tcp", listen, targets: all.map(({ target }) => target) }];
        writeFileSync(file, stringify({ admin: { listen: admin }, workers: 2, protocols }));
      };
      const api = new Api(admin, `tcp ${listen}`);
      write(a, b, c);
      {
        await using service = await Service.start(folder, "-config", file);
        expect(await seen(port)).toBe("abc");
        await api.want(a.target, { state: "draining" });
        await api.want(b.target, { state: "disabled" });
        await api.want(c.target, { weight: 7 });
        await api.isOf(await service.upgrade());
        expect(await seen(port)).toBe("c");
        const wanted = [
          `${a.target} draining 1`,
          `${b.target} disabled 1`,
          `${c.target} enabled 7`,
        ];
        expect(await api.list()).toEqual(wanted);
        // While the next process starts, which knows of what was wanted before.
        const before = service.pid;
        service.signal("SIGUSR2");
        await service.first.line(/("msg":"upgrading"[^]*){2}/);
        await api.want(b.target, { state: "enabled" });
        await until("another process is in charge", () => service.pid !== before);
        await api.isOf(service.pid);
        expect(await seen(port)).toBe("bc");
        // A target that is gone takes with it what was wanted, and the others keep theirs.
        write(a, c);
        await api.isOf(await service.upgrade());
        write(a, b, c);
        await api.isOf(await service.upgrade());
        expect(await api.list()).toEqual([
          `${a.target} draining 1`,
          `${b.target} enabled 1`,
          `${c.target} enabled 7`,
        ]);
        const { code, stderr } = await service.stop();
        expect(code).toBe(0);
        expect(stderr).not.toMatch(/"level":"error"/);
      }
      await using restarted = await Service.start(folder, "-config", file);
      await api.isOf(restarted.pid);
      expect(await seen(port)).toBe("abc");
      expect((await restarted.stop()).code).toBe(0);
    }),
  TEST_MS,
);
