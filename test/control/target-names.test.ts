// What an operator wants of a name that is configured, while its addresses come, change and are asked for by clients.

import { expect, test } from "bun:test";
import { createServer, type Server } from "node:net";

import { Proxy } from "../../src/control/proxy.ts";
import type { Lookup } from "../../src/control/resolver.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { freePort } from "../support/daemon.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire } from "../support/wire.ts";

async function named(name: string, host: string, port: number): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(name);
  });
  const open = Promise.withResolvers<void>();
  server.once("error", open.reject).listen(port, host, open.resolve);
  await open.promise;
  return server;
}

async function asked(proxy: Proxy): Promise<string> {
  const wire = await Wire.connect(wireAddress(proxy.listeners()[0]!.bound[0]!));
  const answer = await within("the answer", wire.readAll());
  wire.destroy();
  return answer;
}

// Addresses of one name have one port: on Linux, all of 127.0.0.0/8 is this machine's.
test.skipIf(process.platform !== "linux")(
  "a name that is drained stays so while its addresses come and change, and nobody is sent to them",
  async () => {
    const port = await freePort();
    const servers = await Promise.all(
      ["a", "b", "c"].map((name, i) => named(name, `127.0.0.${i + 2}`, port)),
    );
    let addresses: string[] = [];
    const lookup: Lookup = async () => {
      if (addresses.length === 0) throw new Error("ENOTFOUND");
      return Promise.resolve(addresses);
    };
    const other = await named("other", "127.0.0.1", port);
    const web = `web.test:${port}`;
    const plan = (limits = {}) =>
      compiledPlan([
        { name: "tcp", listen: "127.0.0.1:0", targets: [web, `127.0.0.1:${port}`], limits },
      ]);
    try {
      await using proxy = await Proxy.start(plan(), { lookup });
      const { key } = proxy.plan.listeners[0]!;
      const modes = (): string[] =>
        (proxy.targets().get(key) ?? []).flatMap(({ configured, address, mode }) =>
          configured === web && address.kind === "ip" ? [`${address.host} ${mode}`] : [],
        );
      const answers = async (): Promise<Set<string>> => {
        const all: string[] = [];
        for (let i = 0; i < 12; i++) all.push(await asked(proxy));
        return new Set(all);
      };
      expect(proxy.wish(key, web, { mode: "draining" })).toBe(true); // none of its addresses is known yet
      addresses = ["127.0.0.2", "127.0.0.3"];
      await until("its addresses are there", () => modes().length === 2);
      expect(modes()).toEqual(["127.0.0.2 draining", "127.0.0.3 draining"]);
      expect(await proxy.answers()).toBe(true);
      expect(await answers()).toEqual(new Set(["other"]));

      addresses = ["127.0.0.4"];
      await proxy.reload(plan({ max_connections: 99 })); // what changed asks for its names again
      await until("it has another address", () => modes().length === 1);
      expect(modes()).toEqual(["127.0.0.4 draining"]);
      expect(await proxy.answers()).toBe(true);
      expect(await answers()).toEqual(new Set(["other"]));

      expect(proxy.wish(key, web, { mode: "enabled" })).toBe(true);
      expect(await proxy.answers()).toBe(true);
      expect(await answers()).toEqual(new Set(["other", "c"]));
    } finally {
      for (const server of [...servers, other]) server.close();
    }
  },
  30_000,
);
