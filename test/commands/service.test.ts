// `proxy service` as a process. Services of the system are written into an image (-root); a user's go to a stand-in of systemctl,
// which notes what it is asked and answers as it is told.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { inFolder } from "../support/daemon.ts";
import { testWith } from "../support/programs.ts";
import { within } from "../support/until.ts";
import { type Outcome, runProxy, runUnprivileged, startWith } from "./proxy-process.ts";

setDefaultTimeout(60_000); // each test starts several processes

const CONFIG = 'protocols: [{ name: tcp, listen: ":8080", target: "127.0.0.1:80" }]\n';

/** Asked for its version, it is there; asked for a service, it shows what `shows` has. */
const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*" >> "$HOME/asked"
case "$*" in
  *=Version*) test ! -e "$HOME/absent" || { echo "Failed to connect to bus." >&2; exit 1; } ;;
  *LoadState*) cat "$HOME/shows" ;;
esac
`;

class Home {
  readonly folder: string;
  readonly unit: string;
  readonly config: string;

  constructor(folder: string) {
    this.folder = folder;
    this.unit = join(folder, ".config/systemd/user/proxy.service");
    this.config = join(folder, ".config/proxy/proxy.yaml");
    mkdirSync(join(folder, ".config/proxy"), { recursive: true });
    mkdirSync(join(folder, "bin"));
    this.write("bin/systemctl", SYSTEMCTL);
    chmodSync(join(folder, "bin/systemctl"), 0o755);
    writeFileSync(this.config, CONFIG);
    this.show({ LoadState: "not-found" });
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.folder, path), text);
  }

  show(values: Record<string, string>): void {
    const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
    this.write("shows", lines.join(""));
  }

  /** What systemctl was asked to do, and not about, since the last call. */
  did(): string[] {
    const path = join(this.folder, "asked");
    const asked = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
    writeFileSync(path, "");
    return asked.filter((line) => line !== "" && !line.includes(" show "));
  }

  service(...args: string[]): Promise<Outcome> {
    const env = {
      HOME: this.folder,
      PATH: `${this.folder}/bin:${process.env.PATH}`,
      SUDO_USER: "",
    };
    const child = startWith({ env }, "service", ...args);
    return within(`proxy service ${args.join(" ")}`, child.outcome, 20_000);
  }
}

function atHome(use: (home: Home) => Promise<void>): () => Promise<void> {
  return () => inFolder((folder) => use(new Home(folder)));
}

describe("a user's service", () => {
  test(
    "is shown, written and started; again, nothing changes; and taken back whole",
    atHome(async (home) => {
      const installed = await home.service("install", "-user");
      expect([installed.code, installed.stderr]).toEqual([0, ""]);
      const text = readFileSync(home.unit, "utf8");
      expect(text).toContain(` -config ${home.config}\n`);
      expect(text).not.toContain("DynamicUser");
      expect(installed.stdout).toStartWith(`${home.unit} (new)\n  # The proxy as a service.`);
      const start = [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now proxy.service",
      ];
      for (const line of start) expect(installed.stdout).toContain(`\n$ ${line}\n`);
      expect(home.did()).toEqual(start);

      const again = await home.service("install", "-user");
      expect(again.code).toBe(0);
      expect(again.stdout).toStartWith(`${home.unit} (unchanged)\n`);
      expect(readFileSync(home.unit, "utf8")).toBe(text);
      expect(home.did()).toEqual(start);

      mkdirSync(`${home.unit}.d`); // as systemctl edit makes it
      const gone = await home.service("uninstall", "-user");
      expect([gone.code, gone.stderr]).toEqual([0, ""]);
      expect(existsSync(home.unit)).toBe(false);
      expect(gone.stdout).toContain(`removes ${home.unit}\n`);
      expect(gone.stdout).toEndWith(
        `Left as they are: ${home.config}, ${join(home.folder, ".config/proxy")}, ${home.unit}.d\n`,
      );
      expect(home.did()).toEqual([
        "systemctl --user disable --now proxy.service",
        "systemctl --user daemon-reload",
      ]);
      const nothing = await home.service("uninstall", "-user");
      expect(nothing).toEqual({
        code: 0,
        stdout: `${home.unit} is not there: nothing is installed\n`,
        stderr: "",
      });
      expect(home.did()).toEqual([]);
    }),
  );

  test(
    "is only shown with -dry-run",
    atHome(async (home) => {
      const { code, stdout } = await home.service("install", "-user", "-dry-run");
      expect(code).toBe(0);
      expect(stdout).toContain("\n  Type=notify\n");
      expect(stdout).toEndWith("\nNothing was done.\n");
      expect(existsSync(home.unit)).toBe(false);
      await home.service("install", "-user");
      home.did();
      const kept = await home.service("uninstall", "-user", "-dry-run");
      expect(kept.stdout).toContain("$ systemctl --user disable --now proxy.service\n");
      expect(existsSync(home.unit)).toBe(true);
      expect(home.did()).toEqual([]);
    }),
  );

  test(
    "keeps a file that somebody changed or wrote, unless it is forced",
    atHome(async (home) => {
      await home.service("install", "-user");
      const edited = readFileSync(home.unit, "utf8").replace("WatchdogSec=30s", "WatchdogSec=5s");
      for (const [text, problem] of [
        [edited, `${home.unit} was changed since it was installed`],
        ["[Service]\n", `${home.unit} was not written by proxy service install`],
      ] as const) {
        writeFileSync(home.unit, text);
        home.did();
        for (const action of ["install", "uninstall"]) {
          const { code, stderr } = await home.service(action, "-user");
          expect(stderr).toBe(
            `proxy: ${problem}. Put changes into systemctl edit proxy; -force goes on all the same\n`,
          );
          expect(code).toBe(1);
        }
        expect(home.did()).toEqual([]);
        expect(readFileSync(home.unit, "utf8")).toBe(text);
      }
      expect((await home.service("install", "-user", "-force")).stdout).toContain("(replaced)");
      expect(readFileSync(home.unit, "utf8")).toContain("WatchdogSec=30s");
    }),
  );

  test(
    "that runs goes on as before until it is restarted, and install says so",
    atHome(async (home) => {
      await home.service("install", "-user");
      home.show({ LoadState: "loaded", ActiveState: "active", SubState: "running" });
      writeFileSync(home.config, `shutdown_timeout: 1m\n${CONFIG}`);
      const { stdout } = await home.service("install", "-user");
      expect(readFileSync(home.unit, "utf8")).toContain("\nTimeoutStopSec=70s\n");
      expect(stdout).toEndWith("not in effect yet: systemctl --user restart proxy.service\n");
    }),
  );

  test(
    "has its state, with exit code 0 if it runs",
    atHome(async (home) => {
      const absent = await home.service("status", "-user");
      expect(absent).toEqual({ code: 1, stdout: "proxy of systemd: not installed\n", stderr: "" });
      home.show({
        LoadState: "loaded",
        ActiveState: "active",
        SubState: "running",
        UnitFileState: "enabled",
        MainPID: "1234",
        ActiveEnterTimestamp: "@1795392000",
        StatusText: "forwarding on 2 listeners, engine uring",
      });
      expect(await home.service("status", "-user")).toEqual({
        code: 0,
        stdout: `proxy of systemd: running since 2026-11-23 00:00:00 UTC, process 1234
  file     ${home.unit}
  enabled  yes
  state    active (running)
  says     forwarding on 2 listeners, engine uring
`,
        stderr: "",
      });
      const { stdout } = await home.service("status", "-user", "-json");
      expect(JSON.parse(stdout)).toEqual({
        installed: true,
        enabled: true,
        running: true,
        state: "active (running)",
        pid: 1234,
        since: "2026-11-23T00:00:00.000Z",
        note: "forwarding on 2 listeners, engine uring",
      });
    }),
  );

  test(
    "is not written where systemd does not answer, or for a configuration that is wrong",
    atHome(async (home) => {
      home.write("absent", "");
      const { code, stderr } = await home.service("install", "-user");
      expect(stderr).toStartWith(
        "proxy: systemd does not answer: Failed to connect to bus. Use -dry-run",
      );
      expect(code).toBe(1);
      writeFileSync(home.config, CONFIG.replace("tcp", "tpc"));
      const wrong = await home.service("install", "-user", "-dry-run");
      expect(wrong.stderr).toStartWith(`${home.config}:1:`);
      expect([wrong.code, wrong.stdout]).toEqual([2, ""]);
      expect(existsSync(home.unit)).toBe(false);
    }),
  );
});

testWith(["systemctl"], "an image of a system gets the unit, enabled, and loses both again", () =>
  inFolder(async (root) => {
    mkdirSync(join(root, "etc/proxy"), { recursive: true });
    writeFileSync(join(root, "etc/proxy/proxy.yaml"), CONFIG.replace(":8080", ":443"));
    const unit = join(root, "etc/systemd/system/proxy.service");
    const link = join(root, "etc/systemd/system/multi-user.target.wants/proxy.service");
    const flags = ["-root", root];
    const executable = ["-executable", "/usr/local/bin/proxy"];
    const installed = await runProxy("service", "install", ...flags, ...executable);
    expect(installed.code).toBe(0);
    const packaged = readFileSync(
      join(import.meta.dir, "../../packaging/systemd/proxy.service"),
      "utf8",
    );
    expect(readFileSync(unit, "utf8")).toStartWith(packaged);
    expect(readlinkSync(link)).toBe("/etc/systemd/system/proxy.service");
    const removed = await runProxy("service", "uninstall", ...flags);
    expect(removed.code).toBe(0);
    expect(removed.stdout).toEndWith(`Left as they are: ${root}/etc/proxy/proxy.yaml\n`);
    expect([existsSync(unit), existsSync(link)]).toEqual([false, false]);
  }),
);

describe("what is refused", () => {
  test.each([
    ["", "ACTION is missing. Write proxy service ACTION"],
    ["start", 'service "start"? Write install, uninstall or status'],
    ["status -dry-run", "-dry-run means nothing to service status"],
    ["uninstall -config a.yaml", "-config means nothing to service uninstall"],
    ["install -name a/b", '-name: "a/b" is not a name of letters, digits, - and _'],
    ["install -user -root /mnt", "-user and -root cannot be given together"],
    [
      "install -config /nowhere.yaml -dry-run",
      "there is no configuration /nowhere.yaml. Write one",
    ],
  ])("proxy service %s", async (line, problem) => {
    const { code, stdout, stderr } = await runProxy("service", ...line.split(" ").filter(Boolean));
    expect(stderr).toStartWith(`proxy: ${problem}`);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("a configuration and files that the service would not find", () =>
    inFolder(async (folder) => {
      const file = join(folder, "proxy.yaml");
      writeFileSync(file, CONFIG);
      const install = ["service", "install", "-name", "hidden", "-config", file];
      const refused = await runProxy(...install);
      expect(refused.stderr).toMatch(/the service does not see |Run sudo proxy service install/);
      expect(refused.code).not.toBe(0);
      const shown = await runProxy(...install, "-dry-run"); // there is something to look at all the same
      expect(shown.stdout).toContain("warning: the service does not see ");
      expect(shown.stdout).toContain("the configuration into /etc/proxy.");
      expect(shown.stdout).toContain(`-config ${file}`);
      expect(shown.code).toBe(0);
      const home = new Home(join(folder));
      const tls =
        'protocols: [{name: tls, listen: ":8443", target: "b:1", tls: {cert_file: c, key_file: k}}]';
      writeFileSync(home.config, tls);
      const missing = await home.service("install", "-user", "-dry-run");
      expect(missing.stderr).toContain(
        `The service runs in ${folder}/.config/proxy, where paths begin that are not absolute`,
      );
      expect([missing.code, missing.stdout]).toEqual([2, ""]);
    }));

  test("services of the system, to others than root", async () => {
    const { code, stderr } = await runUnprivileged("service", "install", "-name", "edge");
    expect(stderr).toContain("Run sudo proxy service install -name edge, or add -user");
    expect(code).toBe(1);
  });
});
