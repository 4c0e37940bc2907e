// What is written for each system's manager, word by word, in the files beside this test; and that programs of those systems'
// formats take it.

import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { packagedUnit, UNIT_PATH } from "../../../scripts/packaging.ts";
import { LAUNCHD } from "../../../src/control/service/launchd.ts";
import { seal, stateOf } from "../../../src/control/service/seal.ts";
import type {
  ServiceManager,
  ServicePlace,
  ServiceSpec,
} from "../../../src/control/service/service.ts";
import { SYSTEMD } from "../../../src/control/service/systemd.ts";
import { TASK_SCHEDULER } from "../../../src/control/service/windows.ts";
import { formatCommand } from "../../../src/control/trust/stores.ts";
import { inFolder, run } from "../../support/daemon.ts";
import { program, testWith } from "../../support/programs.ts";

const SYSTEM: ServiceSpec = {
  name: "proxy",
  scope: "system",
  command: ["/usr/local/bin/proxy"],
  config: "/etc/proxy/proxy.yaml",
  lowPorts: true,
  shutdownMs: 30_000,
};
const USER: ServiceSpec = {
  ...SYSTEM,
  name: "edge",
  scope: "user",
  command: ["/opt/100% own & <new>/proxy"],
  config: "/home/me/it's $5/proxy.yaml",
  lowPorts: false,
  shutdownMs: 2_500,
};
const WINDOWS: ServiceSpec = {
  ...SYSTEM,
  command: ["C:\\Program Files\\proxy\\proxy.exe"],
  config: "C:\\ProgramData\\proxy\\R&D.yaml",
};

function place({ name, scope }: ServiceSpec, root: string | null = null): ServicePlace {
  return { name, scope, home: "/home/me", uid: 501, root };
}

const FILES: readonly [file: string, manager: ServiceManager, spec: ServiceSpec][] = [
  ["edge-user.service", SYSTEMD, USER],
  ["bun-tunnel.proxy.plist", LAUNCHD, SYSTEM],
  ["bun-tunnel.edge.plist", LAUNCHD, USER],
  ["proxy-task.xml", TASK_SCHEDULER, WINDOWS],
];

describe("the file of", () => {
  test.each(FILES)("%s", (file, manager, spec) => {
    const path = join(import.meta.dir, file);
    expect(manager.text(spec, place(spec))).toBe(readFileSync(path, "utf8"));
  });

  test("packaging/systemd is the one that is installed (bun scripts/packaging.ts writes it)", () => {
    expect(readFileSync(UNIT_PATH, "utf8")).toBe(packagedUnit());
    expect(SYSTEMD.text(SYSTEM, place(SYSTEM))).toBe(packagedUnit());
  });

  test.each(FILES)("%s tells which configuration it is for", (_file, manager, spec) => {
    expect(manager.configOf(manager.text(spec, place(spec)))).toBe(spec.config);
    expect(manager.configOf("something else")).toBeNull();
  });
});

test("without ports below 1024 the unit has no capability at all, and is the same otherwise", () => {
  const text = SYSTEMD.text({ ...SYSTEM, lowPorts: false }, place(SYSTEM));
  expect(text).toContain("\nCapabilityBoundingSet=\n");
  expect(text).not.toContain("CAP_NET");
  const changed = text.split("\n").filter((line) => !packagedUnit().split("\n").includes(line));
  expect(changed).toHaveLength(2);
});

test("a unit for a configuration elsewhere asks for no folder in /etc", () => {
  const text = SYSTEMD.text({ ...SYSTEM, config: "/srv/site/proxy.yaml" }, place(SYSTEM));
  expect(text).not.toContain("ConfigurationDirectory");
  expect(text).toContain("\nEnvironmentFile=-/srv/site/environment\n");
});

test("a manager waits longer than connections may go on", () => {
  const spec = { ...SYSTEM, shutdownMs: 90_500 };
  expect(SYSTEMD.text(spec, place(spec))).toContain("\nTimeoutStopSec=101s\n");
  expect(LAUNCHD.text(spec, place(spec))).toContain("<integer>101</integer>");
});

/** Only if it is not. @param path without its ending. */
function loaded(domain: string, path: string): string {
  const script = `launchctl print ${domain}/${basename(path)} >/dev/null 2>&1 || launchctl bootstrap ${domain} '${path}.plist'`;
  return formatCommand({ words: ["sh", "-c", script], stdin: null });
}

describe("the commands of", () => {
  const rows: [string, ServiceManager, ServicePlace, string[], string[]][] = [
    [
      "systemd",
      SYSTEMD,
      place(SYSTEM),
      ["systemctl daemon-reload", "systemctl enable --now proxy.service"],
      ["systemctl disable --now proxy.service", "systemctl daemon-reload"],
    ],
    [
      "systemd, for a user",
      SYSTEMD,
      place(USER),
      ["systemctl --user daemon-reload", "systemctl --user enable --now edge.service"],
      ["systemctl --user disable --now edge.service", "systemctl --user daemon-reload"],
    ],
    [
      "systemd, for an image",
      SYSTEMD,
      place(SYSTEM, "/mnt"),
      ["systemctl --root=/mnt enable proxy.service"],
      ["systemctl --root=/mnt disable proxy.service"],
    ],
    [
      "launchd",
      LAUNCHD,
      place(SYSTEM),
      [
        "install -d -o _www -g _www -m 0700 FOLDER",
        "launchctl enable system/bun-tunnel.proxy",
        loaded("system", "/Library/LaunchDaemons/bun-tunnel.proxy"),
        "launchctl kickstart system/bun-tunnel.proxy",
      ],
      [
        "sh -c 'launchctl print system/bun-tunnel.proxy >/dev/null 2>&1 && launchctl bootout system/bun-tunnel.proxy || true'",
      ],
    ],
    [
      "launchd, for a user",
      LAUNCHD,
      place(USER),
      [
        "launchctl enable gui/501/bun-tunnel.edge",
        loaded("gui/501", "/home/me/Library/LaunchAgents/bun-tunnel.edge"),
        "launchctl kickstart gui/501/bun-tunnel.edge",
      ],
      [
        "sh -c 'launchctl print gui/501/bun-tunnel.edge >/dev/null 2>&1 && launchctl bootout gui/501/bun-tunnel.edge || true'",
      ],
    ],
    [
      "the Task Scheduler",
      TASK_SCHEDULER,
      place(WINDOWS),
      [
        "icacls FOLDER /grant '*S-1-5-19:(OI)(CI)M'",
        "schtasks /Create /F /TN proxy /XML C:\\ProgramData\\proxy\\proxy-task.xml",
        "schtasks /Run /TN proxy",
      ],
      ["schtasks /End /TN proxy", "schtasks /Delete /F /TN proxy"],
    ],
  ];
  test.each(rows)("%s", (_name, manager, where, starts, ends) => {
    expect(manager.start(where, "FOLDER").map(formatCommand)).toEqual(starts);
    expect([...manager.stop(where), ...manager.forget(where)].map(formatCommand)).toEqual(ends);
  });
});

testWith(["systemd-analyze"], "systemd takes the units, of the system and of users", async () => {
  await inFolder(async (folder) => {
    const command = ["/bin/true"]; // the executable must be there
    const analyze = program("systemd-analyze");
    const specs = [
      { ...SYSTEM, command },
      { ...SYSTEM, command, name: "free", lowPorts: false },
      { ...USER, command },
    ];
    for (const spec of specs) {
      const path = join(folder, `${spec.name}.service`);
      writeFileSync(path, seal(SYSTEMD.text(spec, place(spec)), SYSTEMD.comment));
      const { stdout, stderr } = await run(
        [analyze, `--${spec.scope}`, "verify", "--man=no", path],
        {
          env: { XDG_RUNTIME_DIR: folder },
        },
      );
      expect(stdout + stderr).toBe("");
    }
    // 2.0 and 1.9 of 10; fails above the threshold.
    const low = join(folder, "proxy.service");
    const free = join(folder, "free.service");
    await run([analyze, "security", "--offline=yes", "--threshold=20", low]);
    await run([analyze, "security", "--offline=yes", "--threshold=19", free]);
  });
});

testWith(["python3"], "property lists and tasks are what their formats ask for", async () => {
  const read = (script: string, file: string): Promise<{ stdout: string }> =>
    run([program("python3"), "-c", script, file]);
  await inFolder(async (folder) => {
    const plist = join(folder, "plist");
    const words =
      "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    writeFileSync(plist, seal(LAUNCHD.text(USER, place(USER)), LAUNCHD.comment));
    expect(JSON.parse((await read(words, plist)).stdout)).toMatchObject({
      Label: "bun-tunnel.edge",
      ProgramArguments: [USER.command[0], "-config", USER.config],
      WorkingDirectory: "/home/me/it's $5",
      KeepAlive: { SuccessfulExit: false },
      ExitTimeOut: 13,
      Umask: 0o077,
    });
    const task = join(folder, "task");
    const parse =
      "import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); print(d.getElementsByTagName('Arguments')[0].firstChild.data)";
    const text = seal(TASK_SCHEDULER.text(WINDOWS, place(WINDOWS)), TASK_SCHEDULER.comment);
    writeFileSync(task, `\uFEFF${text}`, "utf16le");
    expect((await read(parse, task)).stdout.trim()).toBe(`-config "${WINDOWS.config}"`);
  });
});

describe("a file is known again", () => {
  const sealed = seal("one\ntwo\n", ["# ", ""]);

  test("as it was written", () => {
    expect(stateOf(null)).toBe("absent");
    expect(stateOf(sealed)).toBe("ours");
    expect(stateOf(seal("<a/>\n", ["<!-- ", " -->"]))).toBe("ours");
  });

  test("and whatever somebody changed in it, or wrote, is told from it", () => {
    expect(stateOf(sealed.replace("two", "2"))).toBe("edited");
    expect(stateOf(`${sealed}three\n`)).toBe("edited");
    expect(stateOf(sealed.replace(/[0-9a-f]{64}/, "0".repeat(64)))).toBe("edited");
    expect(stateOf(packagedUnit())).toBe("foreign");
    expect(stateOf("")).toBe("foreign");
  });
});
