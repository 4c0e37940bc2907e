// `proxy explain URL`: which listener, route and target a connection or request would get, from the configuration alone, and why
// no other. Files of certificates are read, for their names; nothing is opened, and nobody is asked. Exit code 0 if something
// takes it, 1 if nothing does.

import type { ArgsDef } from "citty";
import { defineCommand } from "citty";

import { refuseListenerFlags } from "../config/flags.ts";
import { readCertificateNames } from "../control/certificates/names.ts";
import { compile } from "../control/compile.ts";
import type { CertificateFiles, FileNames } from "../explain/certificate.ts";
import { explain as ask } from "../explain/explain.ts";
import { parseQuestion } from "../explain/question.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import type { Plan } from "../shared/plan.ts";
import { type Aside, explanationJson, formatExplanation } from "./explain-text.ts";
import { RUN_ARGS } from "./flags.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";
import { readConfig } from "./run.ts";
import { print, styleFor } from "./terminal.ts";

export const EXPLAIN_EXAMPLES: readonly Example[] = [
  ["proxy explain -config proxy.yaml https://api.example.com/v1/users", "where a request goes"],
  [
    "proxy explain -config proxy.yaml -method POST -header x-env:test -client 192.0.2.7 http://a.example/",
    "of a client, with what it sends",
  ],
  ["proxy explain -config proxy.yaml tls://db.example.com:5432", "a connection with a TLS name"],
  ["proxy explain -listen :8080 -target 127.0.0.1:80 tcp://127.0.0.1:8080", "without a file"],
];

const EXPLAIN_ARGS = {
  url: {
    type: "positional",
    required: true,
    description: "http://, https://, h3://, tcp://, tls://, udp:// or quic://, with host and port",
  },
  config: RUN_ARGS.config,
  client: {
    type: "string",
    valueHint: "192.0.2.7",
    description: "the client's address (default: 127.0.0.1)",
  },
  address: {
    type: "string",
    valueHint: "10.0.0.1",
    description: "which address of this machine it comes to (default: where the host leads)",
  },
  sni: {
    type: "string",
    valueHint: "a.example",
    description: "the name in the TLS handshake (default: the host; - for none)",
  },
  alpn: {
    type: "string",
    valueHint: "h2,http/1.1",
    description: "what is offered in it (default: what clients of the scheme offer; - for nothing)",
  },
  method: { type: "string", valueHint: "GET", description: "of the request (default: GET)" },
  header: {
    type: "string",
    valueHint: "name:value",
    description: "a field of the request; may be given several times",
  },
  json: { type: "boolean", description: "print JSON" },
  protocol: RUN_ARGS.protocol,
  listen: RUN_ARGS.listen,
  target: RUN_ARGS.target,
  preset: RUN_ARGS.preset,
  cert: RUN_ARGS.cert,
  key: RUN_ARGS.key,
  "auto-tls": RUN_ARGS["auto-tls"],
  domains: RUN_ARGS.domains,
  email: RUN_ARGS.email,
  "dns-provider": RUN_ARGS["dns-provider"],
  staging: RUN_ARGS.staging,
} as const satisfies ArgsDef;

export const explain = defineCommand({
  meta: {
    name: "explain",
    description: "say where a request or connection would go, and why",
  },
  args: EXPLAIN_ARGS,
  run: async ({ args }): Promise<number> => {
    const { url, config, client, address, sni, alpn, method, header, json, ...flags } = args;
    const headers = header?.split("\n") ?? [];
    const question = parseQuestion(url, { client, address, sni, alpn, method, headers });
    if (config !== undefined) refuseListenerFlags(listenerFlags(flags));
    else if (flags.listen === undefined && flags.target === undefined) {
      throw new ProxyError("ERR_USAGE", "there is no configuration to explain", {
        cure: "Write -config FILE, or -listen and -target as for a run",
      });
    }
    const read = await readConfig({ ...listenerFlags(flags), config });
    const plan = compile(read, thisMachine());
    const disabled = read.protocols.filter((entry) => entry.enabled === false);
    const asides = [
      ...disabled.map(({ name, listen }): Aside => ({ name, listen, reason: "it is disabled" })),
      ...(plan.admin === null ? [] : [{ name: "admin", listen: plan.admin.listen, reason: ADMIN }]),
    ];
    const explanation = ask(plan, question, filesOf(plan));
    const text =
      json === true
        ? explanationJson(explanation, question)
        : formatExplanation(explanation, question, asides, styleFor(process.stdout));
    await print(text);
    return explanation.found !== null && explanation.found.refused === null ? 0 : 1;
  },
});

const ADMIN = "it tells about this proxy, and forwards nothing";

type ListenerFlags = Parameters<typeof refuseListenerFlags>[0];

/** citty adds `_`, the words that are no flags. */
function listenerFlags({ _: words, ...flags }: ListenerFlags & { _: unknown }): ListenerFlags {
  void words;
  return flags;
}

/** What the files that are named are for, or why that cannot be told. */
function filesOf({ listeners }: Plan): CertificateFiles {
  const files = new Map<string, FileNames>();
  for (const listener of listeners) {
    const tls = "tls" in listener ? listener.tls : null;
    for (const { certFile } of tls?.certificates ?? []) {
      if (!files.has(certFile)) files.set(certFile, namesIn(certFile));
    }
  }
  return files;
}

function namesIn(certFile: string): FileNames {
  try {
    return { names: readCertificateNames(certFile) };
  } catch (error) {
    return { fault: messageOf(error).replace(`${certFile}: `, "") };
  }
}
