// Help pages: one for `proxy` that a newcomer understands, and one for each command, from its definitions.

import type { ArgsDef } from "citty";

import { RUN_ARGS } from "./flags.ts";
import type { Style } from "./terminal.ts";
import { NAME_AND_VERSION } from "./version.ts";

/** A command line, and what it is for. */
export type Example = readonly [command: string, comment: string];

interface Described {
  readonly name: string;
  readonly description: string;
  readonly args: ArgsDef;
  readonly examples: readonly Example[];
}

export function mainHelp(commands: readonly Described[], style: Style): string {
  const listed = commands
    .filter(({ name }) => name !== "run")
    .map(({ name, description, args }): [string, string] => [usageOf(name, args), description]);
  return `${style.bold(NAME_AND_VERSION)} forwards TCP connections, TLS, HTTP and UDP from one address to another.

${style.bold("Usage")}
  proxy -listen ADDRESS -target ADDRESS [flags]
  proxy -config FILE [flags]
  proxy COMMAND

${style.bold("Examples")}
  proxy demo                                            ${style.dim("# see it work; nothing to set up")}
  proxy -listen :8080 -target 127.0.0.1:80              ${style.dim("# port 8080 of this machine to port 80")}
  proxy -listen 127.0.0.1:5432 -target db.example:5432  ${style.dim("# a remote database, for this machine only")}
  proxy -listen :3306 -target unix:/run/mysqld.sock     ${style.dim("# a unix socket")}
  proxy -protocol udp -listen :53 -target 10.0.0.53:53  ${style.dim("# DNS, a session for each client")}
  proxy -protocol http -listen :80 -target 127.0.0.1:3000   ${style.dim("# requests, in clear")}
  proxy -protocol http2 -listen :443 -target 127.0.0.1:3000 -cert cert.pem -key key.pem
  proxy -protocol http3 -listen :443 -target 127.0.0.1:3000 -cert cert.pem -key key.pem
  proxy -protocol http3 -listen :443 -target 127.0.0.1:3000 -auto-tls -domains example.com
  proxy -listen :8080 -target 127.0.0.1:80 -admin 127.0.0.1:9090   ${style.dim("# and a dashboard on http://127.0.0.1:9090/")}
  proxy -config proxy.yaml                              ${style.dim("# several listeners, from a file")}
  proxy capture -listen :8080 -target 127.0.0.1:80      ${style.dim("# the first, and shows what passes")}

${style.bold("Commands")}
${columns(listed, style)}

${style.bold("Flags")} ${style.dim("(one dash or two, -flag value or -flag=value)")}
${columns([...flagRows(RUN_ARGS), ["-h, -help", "this page; after a command, the command's"]], style)}

${style.bold("Addresses")}
  host:port, [::1]:port, unix:/path, and for -listen also :port, which is every address of this machine.
  Targets of http, http2 and http3 may be URLs: http://, https://, h2://, h2c:// and a host, or unix:/path.

${style.bold("Stopping")}
  Ctrl-C (SIGTERM, SIGQUIT) closes the listeners and lets connections finish; a second one ends at once.
  SIGUSR2 starts a new process that takes over, without losing a connection (proxy upgrade).
  Exit codes: 0 fine, 1 failed while running, 2 wrong flags or configuration.`;
}

export function commandHelp(command: Described, style: Style): string {
  const { name, description, args, examples } = command;
  const rows: [string, string][] = Object.entries(args)
    .filter(([, { type }]) => type === "positional")
    .map(([arg, definition]) => [arg.toUpperCase(), definition.description ?? ""]);
  rows.push(...flagRows(args), ["-h, -help", "this page"]);
  const head = `${style.bold(`proxy ${usageOf(name, args)}`)}: ${description}`;
  const page = `${head}\n\n${columns(rows, style)}`;
  if (examples.length === 0) return page;
  const lines = examples.map(([line, comment]) => `  ${style.dim(`# ${comment}`)}\n  ${line}`);
  return `${page}\n\n${style.bold("Examples")}\n${lines.join("\n")}`;
}

function usageOf(name: string, args: ArgsDef): string {
  const positionals = Object.entries(args).filter(([, { type }]) => type === "positional");
  const written = positionals.map(([arg, { required }]) =>
    required === false ? `[${arg.toUpperCase()}]` : arg.toUpperCase(),
  );
  return [name, ...written].join(" ");
}

function flagRows(args: ArgsDef): [string, string][] {
  return Object.entries(args)
    .filter(([, { type }]) => type !== "positional")
    .map(([name, { valueHint, description }]) => {
      return [`-${name}${valueHint === undefined ? "" : ` ${valueHint}`}`, description ?? ""];
    });
}

function columns(rows: readonly (readonly [string, string])[], style: Style): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${style.cyan(left.padEnd(width))}${right}`).join("\n");
}
