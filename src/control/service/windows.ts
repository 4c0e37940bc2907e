// Windows: a task that the Task Scheduler starts at boot. Not a service of `sc create`: the service control manager ends a
// program that does not call StartServiceCtrlDispatcher within 30 seconds, and the runtime has no such call.

import { win32 } from "node:path";

import {
  command,
  escapeXml,
  NOT_INSTALLED,
  type ServiceManager,
  type ServiceSpec,
  type ServiceStatus,
  unescapeXml,
} from "./service.ts";

/** LOCAL SERVICE, by its well-known id: its name is another in each language. */
const USER = "S-1-5-19";

export const TASK_SCHEDULER: ServiceManager = {
  name: "the Task Scheduler",
  comment: ["<!-- ", " -->"],
  encoding: "utf16le", // what schtasks takes whatever the console's code page is
  path: ({ name }) => `C:\\ProgramData\\${name}\\${name}-task.xml`,
  text: taskXml,
  workingFolder: ({ name }) => `C:\\ProgramData\\${name}`,
  probe: () => null,
  start: (place, folder) => [
    command("icacls", folder, "/grant", `*${USER}:(OI)(CI)M`),
    command("schtasks", "/Create", "/F", "/TN", place.name, "/XML", TASK_SCHEDULER.path(place)),
    command("schtasks", "/Run", "/TN", place.name),
  ],
  stop: ({ name }) => [
    command("schtasks", "/End", "/TN", name),
    command("schtasks", "/Delete", "/F", "/TN", name),
  ],
  forget: () => [],
  restart: ({ name }) =>
    command("cmd", "/d", "/c", `schtasks /End /TN ${name} & schtasks /Run /TN ${name}`),
  status: ({ name }) =>
    command("powershell", "-NoProfile", "-NonInteractive", "-Command", statusScript(name)),
  readStatus: readJson,
  configOf: (text) => {
    const written = /-config "([^"]*)"<\/Arguments>/.exec(text)?.[1];
    return written === undefined ? null : unescapeXml(written);
  },
  logs: () => "nowhere: the Task Scheduler keeps no output. access_log may name a file",
  notes: () => [
    "A task is ended at once, without draining: connections that are open then are reset",
    "Its log goes nowhere. Where either matters, run the executable by WinSW, which sends Ctrl-C and keeps the output",
  ],
};

/** The words of PowerShell's enumerations are the same in each language, those of schtasks are not. */
function statusScript(name: string): string {
  return [
    `$task = Get-ScheduledTask -TaskName '${name}' -ErrorAction SilentlyContinue`,
    "if ($task) {",
    "$program = $task.Actions[0].Execute.Trim([char]34)",
    "$process = Get-Process -ErrorAction SilentlyContinue | Where-Object Path -eq $program | Select-Object -First 1",
    "$info = $task | Get-ScheduledTaskInfo",
    "@{ state = [string]$task.State; enabled = $task.Settings.Enabled; pid = $process.Id; result = $info.LastTaskResult;",
    "since = $info.LastRunTime.ToUniversalTime().ToString('o') } | ConvertTo-Json -Compress",
    "}",
  ].join("\n");
}

interface TaskState {
  readonly state: string;
  readonly enabled: boolean;
  readonly pid: number | null;
  readonly result: number;
  readonly since: string;
}

function readJson(output: string | null): ServiceStatus {
  if (output === null || output.trim() === "") return NOT_INSTALLED;
  const { state, enabled, pid, result, since } = JSON.parse(output) as TaskState;
  const running = state === "Running";
  return {
    installed: true,
    enabled,
    running,
    state,
    pid: running ? pid : null,
    since: running ? new Date(since) : null,
    note: running ? "" : `last result 0x${(result >>> 0).toString(16)}`,
  };
}

/** As CommandLineToArgvW takes words apart; no path has a quote in it there. */
function quote(word: string): string {
  return `"${word}"`;
}

export function taskXml(spec: ServiceSpec): string {
  const [program = "", ...script] = spec.command;
  const words = [...script.map(quote), "-config", quote(spec.config)].join(" ");
  const folder = TASK_SCHEDULER.workingFolder(spec);
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>bun-tunnel, a proxy: ${escapeXml(win32.basename(spec.config))}</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>${USER}</UserId>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>4</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>${escapeXml(program)}</Command>
      <Arguments>${escapeXml(words)}</Arguments>
      <WorkingDirectory>${escapeXml(folder)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
`;
}
