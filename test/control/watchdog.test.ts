// The watchdog of a service manager hears of a service only while its workers answer: one that hangs is restarted for it.

import { expect } from "bun:test";
import { join } from "node:path";

import { ServiceManager } from "../../src/control/systemd.ts";
import { inFolder } from "../support/daemon.ts";
import { Manager } from "../support/manager.ts";
import { testWith } from "../support/programs.ts";
import { until } from "../support/until.ts";

testWith(["python3"], "whose workers hang is not alive, and is again when they answer", () =>
  inFolder(async (folder) => {
    await using manager = await Manager.start(join(folder, "notify"));
    const env = { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: "20000" };
    const service = new ServiceManager(env);
    let asked = 0;
    let well = true;
    const ask = (): Promise<boolean> => {
      asked++;
      return Promise.resolve(well);
    };
    const several = async (): Promise<void> => {
      const enough = asked + 4;
      await until("it is asked again and again", () => asked >= enough);
    };
    service.watch(ask);
    await manager.nth("WATCHDOG", 2);
    well = false;
    await several(); // the last good answer has arrived by then
    const told = manager.of("WATCHDOG").length;
    await several();
    expect(manager.of("WATCHDOG")).toHaveLength(told);
    well = true;
    await manager.nth("WATCHDOG", told + 2);
    service.unwatch();
  }),
);

testWith(["python3"], "whose workers never answer is asked once, and not alive", () =>
  inFolder(async (folder) => {
    await using manager = await Manager.start(join(folder, "notify"));
    const env = { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: "20000" };
    const [hung, other] = [new ServiceManager(env), new ServiceManager(env)];
    let asked = 0;
    hung.watch(() => {
      asked++;
      return new Promise(() => {});
    });
    let beats = 0;
    other.watch(() => Promise.resolve(++beats < 0));
    await until("others have been asked again and again", () => beats > 5);
    expect(asked).toBe(1);
    expect(manager.of("WATCHDOG")).toEqual([]);
    for (const each of [hung, other]) each.unwatch();
  }),
);
