// The state of a service, read from what each system's manager prints.

import { describe, expect, test } from "bun:test";

import { LAUNCHD } from "../../../src/control/service/launchd.ts";
import { NOT_INSTALLED } from "../../../src/control/service/service.ts";
import { SYSTEMD } from "../../../src/control/service/systemd.ts";
import { TASK_SCHEDULER } from "../../../src/control/service/windows.ts";

describe("systemctl show", () => {
  const shown = (values: Record<string, string>): string =>
    Object.entries({
      Result: "success",
      MainPID: "0",
      StatusText: "",
      LoadState: "loaded",
      ActiveState: "inactive",
      SubState: "dead",
      UnitFileState: "disabled",
      ActiveEnterTimestamp: "",
      ...values,
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");

  test("of one that runs", () => {
    const output = shown({
      MainPID: "1234",
      StatusText: "forwarding on 2 listeners, engine uring",
      ActiveState: "active",
      SubState: "running",
      UnitFileState: "enabled",
      ActiveEnterTimestamp: "@1795392000",
    });
    expect(SYSTEMD.readStatus(output)).toEqual({
      installed: true,
      enabled: true,
      running: true,
      state: "active (running)",
      pid: 1234,
      since: new Date("2026-11-23T00:00:00Z"),
      note: "forwarding on 2 listeners, engine uring",
    });
  });

  test("of one that reloads is that of one that runs", () => {
    const output = shown({ ActiveState: "reloading", SubState: "reload-signal", MainPID: "7" });
    expect(SYSTEMD.readStatus(output)).toMatchObject({ running: true, pid: 7, enabled: false });
  });

  test("of one that failed says why", () => {
    const output = shown({ ActiveState: "failed", SubState: "failed", Result: "exit-code" });
    expect(SYSTEMD.readStatus(output)).toEqual({
      installed: true,
      enabled: false,
      running: false,
      state: "failed (failed)",
      pid: null,
      since: null,
      note: "exit-code",
    });
  });

  test("of one that is not there", () => {
    expect(SYSTEMD.readStatus(shown({ LoadState: "not-found" }))).toEqual(NOT_INSTALLED);
    expect(SYSTEMD.readStatus(null)).toEqual(NOT_INSTALLED);
  });
});

describe("launchctl print", () => {
  const PRINTED = `system/bun-tunnel.proxy = {
	active count = 1
	path = /Library/LaunchDaemons/bun-tunnel.proxy.plist
	type = LaunchDaemon
	state = running

	program = /usr/local/bin/proxy
	runs = 1
	pid = 4321
	last exit code = (never exited)

	spawn type = interactive (4)
	endpoints = {
		state = elsewhere
		pid = 1
	}
}
`;

  test("of one that runs, with its time of ps", () => {
    const output = `${PRINTED}lstart = Mon Nov 23 00:00:00 2026\n`;
    expect(LAUNCHD.readStatus(output)).toEqual({
      installed: true,
      enabled: true,
      running: true,
      state: "running",
      pid: 4321,
      since: new Date("Mon Nov 23 00:00:00 2026"),
      note: "",
    });
  });

  test("of one that has ended says how", () => {
    const output = PRINTED.replace("state = running", "state = not running")
      .replace("\tpid = 4321\n", "")
      .replace("(never exited)", "2");
    expect(LAUNCHD.readStatus(output)).toMatchObject({
      installed: true,
      running: false,
      state: "not running",
      pid: null,
      since: null,
      note: "last exit code 2",
    });
  });

  test("of one that is not there", () => {
    expect(LAUNCHD.readStatus("")).toEqual(NOT_INSTALLED);
  });
});

describe("Get-ScheduledTask", () => {
  const task = {
    state: "Running",
    enabled: true,
    pid: 4711,
    result: 267_009,
    since: "2026-11-23T00:00:00.0000000Z",
  };

  test("of one that runs", () => {
    expect(TASK_SCHEDULER.readStatus(`${JSON.stringify(task)}\r\n`)).toEqual({
      installed: true,
      enabled: true,
      running: true,
      state: "Running",
      pid: 4711,
      since: new Date("2026-11-23T00:00:00Z"),
      note: "",
    });
  });

  test("of one that has ended says how", () => {
    const ended = { ...task, state: "Ready", enabled: false, pid: null, result: -1_073_741_510 };
    expect(TASK_SCHEDULER.readStatus(JSON.stringify(ended))).toEqual({
      installed: true,
      enabled: false,
      running: false,
      state: "Ready",
      pid: null,
      since: null,
      note: "last result 0xc000013a",
    });
  });

  test("of one that is not there", () => {
    expect(TASK_SCHEDULER.readStatus("\r\n")).toEqual(NOT_INSTALLED);
  });
});
