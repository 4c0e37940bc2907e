// Flags go the same way to a configuration as files, and their mistakes carry the flag's name.

import { describe, expect, test } from "bun:test";

import { checkSource } from "../../src/config/check.ts";
import {
  type Flags,
  flagSource,
  refuseListenerFlags,
  withProcessFlags,
} from "../../src/config/flags.ts";
import { parseSource } from "../../src/config/load.ts";
import { ProxyError } from "../../src/shared/errors.ts";

const LISTENER: Flags = { listen: ":8080", target: "127.0.0.1:80" };
const FILE = `log_level: warn
protocols:
  - { name: tcp, listen: ":1000", target: "127.0.0.1:80" }
`;

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ProxyError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("flags alone", () => {
  test("mean the same configuration as the file with the same content", () => {
    const flags: Flags = {
      ...LISTENER,
      protocol: "tcp",
      preset: "high-throughput",
      engine: "bun",
      workers: "3",
      "log-level": "debug",
      "log-format": "json",
    };
    const file = `
engine: bun
workers: 3
log_level: debug
log_format: json
protocols: [{ name: tcp, listen: ":8080", target: "127.0.0.1:80", preset: high_throughput }]`;
    expect(checkSource(flagSource(flags))).toEqual(checkSource(parseSource(file, "f")));
  });

  test("-protocol is tcp by default", () => {
    expect(checkSource(flagSource(LISTENER)).protocols[0]!.name).toBe("tcp");
  });

  test("-listen and -target are needed, and both are named", () => {
    expect(messageOf(() => flagSource({ protocol: "tcp" }))).toBe(
      "-listen is missing. Write for example -listen :8080\n-target is missing. Write for example -target 127.0.0.1:80",
    );
  });

  test("a wrong value is reported under its flag", () => {
    const flags: Flags = {
      protocol: "tpc",
      listen: "8080",
      target: "nowhere",
      preset: "fast",
      engine: "epol",
      workers: "many",
      "log-level": "loud",
      "log-format": "xml",
    };
    expect(messageOf(() => checkSource(flagSource(flags))).split("\n")).toEqual([
      '-protocol: the text "tpc" is not one of tcp, tls, http, http2, http3, quic, udp. Did you mean "tcp"?',
      '-listen: "8080" is not an address: the colon is missing. Write :8080 or 127.0.0.1:8080',
      '-target: "nowhere" is not an address: the port is missing. Write nowhere:8080',
      '-preset: the text "fast" is not one of server, client, high_throughput',
      '-engine: the text "epol" is not one of auto, uring, epoll, bun. Did you mean "epoll"?',
      '-workers: expected auto or a number, found the text "many"',
      '-log-level: the text "loud" is not one of debug, info, warn, error',
      '-log-format: the text "xml" is not one of auto, pretty, json',
    ]);
  });

  test("-admin says where, and is refused where other machines reach it", () => {
    const check = (admin: string) => checkSource(flagSource({ ...LISTENER, admin }));
    expect(check("127.0.0.1:9090").admin).toEqual({
      listen: { kind: "tcp", host: "127.0.0.1", port: 9090 },
    });
    expect(messageOf(() => check(":9090"))).toBe(
      "-admin: can be reached from other machines, without a token. Write 127.0.0.1:9090, or add token_file",
    );
  });

  test("-auto-tls means the file with the same content, and agrees to the terms", () => {
    const flags: Flags = {
      ...LISTENER,
      protocol: "http2",
      "auto-tls": true,
      email: "a@example.com",
      domains: "example.com, *.example.com,dev.local",
      staging: true,
      "dns-provider": "cloudflare",
    };
    const file = `
auto_tls:
  agree_terms: true
  email: a@example.com
  domains: [example.com, "*.example.com", dev.local]
  ca: [letsencrypt-staging, internal]
  dns_provider: cloudflare
protocols: [{ name: http2, listen: ":8080", target: "127.0.0.1:80" }]`;
    expect(checkSource(flagSource(flags))).toEqual(checkSource(parseSource(file, "f")));
  });

  test("-auto-tls needs names, and a listener that speaks TLS", () => {
    expect(messageOf(() => flagSource({ ...LISTENER, "auto-tls": true })).split("\n")).toEqual([
      "-domains is missing. Write for example -domains example.com",
      expect.stringMatching(/^-auto-tls: has no effect: no listener would show what is obtained/),
    ] as unknown as string[]);
  });

  test("a mistake in a name is reported under -domains, and one without -auto-tls under its flag", () => {
    const messageFor = (flags: Flags): string =>
      messageOf(() => checkSource(flagSource({ ...LISTENER, protocol: "http2", ...flags })));
    expect(messageFor({ "auto-tls": true, domains: "https://a.example.com" })).toBe(
      '-domains: "https://a.example.com" is a URL, not a name. Write a.example.com',
    );
    expect(messageFor({ "auto-tls": true, domains: "*.example.com" })).toStartWith(
      '-domains: "*.example.com" is a wildcard, which only dns-01 proves.',
    );
    const certificate = { cert: "c.pem", key: "k.pem" };
    expect(messageFor({ ...certificate, email: "a@example.com", staging: true })).toBe(
      "-email has no effect without -auto-tls\n-staging has no effect without -auto-tls",
    );
  });

  test("a certificate comes with its key, where there is TLS, and TLS not without them", () => {
    const messageFor = (flags: Flags): string =>
      messageOf(() => checkSource(flagSource({ ...LISTENER, ...flags })));
    expect(messageFor({ protocol: "http2", key: "k.pem" })).toBe(
      "-key: cert_file is missing: a certificate and its key go together",
    );
    expect(messageFor({ cert: "c.pem", key: "k.pem" })).toBe(
      "-cert: has no effect: no listener speaks TLS. It is for tls, http2, http3 and quic",
    );
    for (const protocol of ["tls", "http2", "quic"]) {
      expect(messageFor({ protocol })).toMatch(
        /^-protocol: "\w+" needs a certificate\. .* on the command line -cert and -key/,
      );
    }
  });

  test.each(["tls", "http2"])("%s takes its certificate from -cert and -key", (protocol) => {
    const flags = { ...LISTENER, protocol, cert: "c.pem", key: "k.pem" };
    const config = checkSource(flagSource(flags));
    expect(config.tls).toEqual({ cert_file: "c.pem", key_file: "k.pem" });
    expect(config.protocols[0]!.name).toBe(protocol);
  });

  test("what is missing is reported together with what is wrong", () => {
    const flags: Flags = { listen: "8080", protocol: "tls", workers: "-1" };
    expect(
      messageOf(() => flagSource(flags))
        .split("\n")
        .toSorted(),
    ).toEqual([
      '-listen: "8080" is not an address: the colon is missing. Write :8080 or 127.0.0.1:8080',
      "-target is missing. Write for example -target 127.0.0.1:80",
      "-workers: the number -1 is too little. Write at least 1",
    ]);
  });

  test("a preset may be spelled as in a file, and the other way round", () => {
    for (const preset of ["high-throughput", "high_throughput"]) {
      const byFlag = checkSource(flagSource({ ...LISTENER, preset }));
      const file = `protocols: [{ name: tcp, listen: ":1", target: "a:1", preset: ${preset} }]`;
      const byFile = checkSource(parseSource(file, "f"));
      for (const { protocols } of [byFlag, byFile])
        expect(protocols[0]!.preset).toBe("high_throughput");
    }
  });
});

describe("flags over a file", () => {
  const source = parseSource(FILE, "f");

  test("those of the whole process win over the file", () => {
    const config = checkSource(
      withProcessFlags(source, { "log-level": "debug", workers: "2", engine: "bun" }),
    );
    expect(config).toMatchObject({ log_level: "debug", workers: 2, engine: "bun" });
    expect(config.protocols).toHaveLength(1);
    expect(checkSource(withProcessFlags(source, {})).log_level).toBe("warn");
  });

  test("a mistake in one is reported under its flag, one in the file under its place", () => {
    const broken = parseSource(FILE.replace('":1000"', "1000"), "f");
    expect(
      messageOf(() => checkSource(withProcessFlags(broken, { workers: "0" }))).split("\n"),
    ).toEqual([
      expect.stringMatching(/^-workers: the number 0 is too little/),
      expect.stringMatching(/^f:3:26: protocols\[0\]\.listen: "1000" is not an address/),
    ] as unknown as string[]);
  });

  test("those of a listener are refused, and named", () => {
    expect(
      messageOf(() => refuseListenerFlags({ ...LISTENER, protocol: "tcp", workers: "2" })),
    ).toBe(
      "-protocol, -listen, -target cannot be given together with -config. Write the listener into the file, or leave -config out",
    );
  });

  test("a file that is no mapping is still reported by the grammar", () => {
    const list = parseSource("- a", "f");
    expect(messageOf(() => checkSource(withProcessFlags(list, { workers: "2" })))).toBe(
      'f:1:1: expected a mapping of keys to values, found a list. Remove the "- " before its keys',
    );
  });
});
