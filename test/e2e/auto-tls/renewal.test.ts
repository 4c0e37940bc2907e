// Renewal while clients are served: connections that are held go on, not one request of h2load fails, and whoever connects anew
// is shown the new certificate.

import { expect } from "bun:test";
import { once } from "node:events";
import { connect } from "node:tls";

import { AutoTlsProxy, challengePorts, issuedBy } from "../../support/auto-tls-proxy.ts";
import { inFolder, run } from "../../support/daemon.ts";
import { startNginx } from "../../support/nginx.ts";
import { Pebble, PEBBLE_PROGRAMS } from "../../support/pebble.ts";
import { program, testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";

/** Of certificates: renewed after some thirteen seconds, while the load is on. */
const LIFETIME_SECONDS = 20;
const LOAD_SECONDS = 17;
const REQUEST = "GET /small HTTP/1.1\r\nHost: a.example.com\r\n\r\n";

testWith(
  [...PEBBLE_PROGRAMS, "h2load", "nginx", "wrk"],
  "under load, nothing fails, held connections stay, and new handshakes get the new certificate",
  () =>
    inFolder(async (folder) => {
      const ports = await challengePorts();
      await using server = await startNginx({ small: "hello" });
      await using pebble = await Pebble.start({ ...ports, validitySeconds: LIFETIME_SECONDS });
      const domains = ["a.example.com"];
      const target = `127.0.0.1:${server.port}`;
      const options = { folder, ...ports, authorities: [pebble], domains, target };
      await using proxy = await AutoTlsProxy.start(options);
      const first = await proxy.obtained("a.example.com");
      const held = connect({
        host: "127.0.0.1",
        port: proxy.port,
        servername: "a.example.com",
        rejectUnauthorized: false,
      });
      await once(held, "secureConnect");
      let heard = "";
      held.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
      const ask = async (answers: number): Promise<void> => {
        held.write(REQUEST);
        await until(`answer ${answers}`, () => heard.split("200 OK").length === answers + 1);
      };
      await ask(1);
      const url = `https://127.0.0.1:${proxy.port}/small`;
      const load = ["-t1", "-c8", "-m8", `-D${LOAD_SECONDS}`, url];
      const loaded = run([program("h2load"), ...load], { timeoutMs: 50_000 });
      const wrk = ["-t1", "-c4", `-d${LOAD_SECONDS}s`, "-H", "Connection: close", url];
      const coming = run([program("wrk"), ...wrk], { timeoutMs: 50_000 });
      const isNew = async (): Promise<boolean> => {
        const { serialNumber } = await proxy.shown("a.example.com");
        return serialNumber !== first.serialNumber;
      };
      await until("another certificate is shown", isNew, 30_000);
      await ask(2);
      expect((await loaded).stdout).toMatch(
        /requests: \d+ total, .* 0 failed, 0 errored, 0 timeout/,
      );
      const { stdout } = await coming;
      expect(stdout).not.toContain("Socket errors");
      expect(stdout).not.toContain("Non-2xx");
      await ask(3);
      held.destroy();
      expect(issuedBy(pebble)).toBeGreaterThanOrEqual(2);
      expect(await proxy.stop()).not.toContain('"level":"error"');
    }),
  90_000,
);
