// How the flags of `proxy` itself are written and described, for citty, in the help page's order. Names and meaning follow the
// original program; config/flags.ts has the list, with what each does to the configuration.

import type { ArgDef } from "citty";

import type { FlagName } from "../config/flags.ts";

export const RUN_ARGS = {
  protocol: {
    type: "string",
    valueHint: "tcp",
    description: "what to forward: tcp, tls, http, http2, http3, quic or udp (default: tcp)",
  },
  listen: { type: "string", valueHint: ":8080", description: "where to listen" },
  target: { type: "string", valueHint: "127.0.0.1:80", description: "where to forward to" },
  config: { type: "string", valueHint: "proxy.yaml", description: "read listeners from a file" },
  preset: {
    type: "string",
    valueHint: "server",
    description: "server, client or high-throughput: buffers and limits for a purpose",
  },
  engine: {
    type: "string",
    valueHint: "auto",
    description: "what moves the bytes: auto, uring, epoll or bun (default: auto)",
  },
  workers: {
    type: "string",
    valueHint: "auto",
    description: "threads that forward (default: auto, one for each CPU)",
  },
  "log-level": {
    type: "string",
    valueHint: "info",
    description: "debug, info, warn or error (default: info)",
  },
  "log-format": {
    type: "string",
    valueHint: "auto",
    description: "pretty or json (default: auto, pretty on a terminal)",
  },
  "pid-file": {
    type: "string",
    valueHint: "/run/proxy.pid",
    description: "write the process id there as long as the proxy serves",
  },
  admin: {
    type: "string",
    valueHint: "127.0.0.1:9090",
    description: "the dashboard, health, metrics and the API, over HTTP",
  },
  cert: {
    type: "string",
    valueHint: "cert.pem",
    description: "certificate chain of a TLS listener, PEM",
  },
  key: { type: "string", valueHint: "key.pem", description: "its private key, PEM" },
  "auto-tls": {
    type: "boolean",
    description: "obtain certificates; agrees to Let's Encrypt's terms of service",
  },
  domains: {
    type: "string",
    valueHint: "a.example,b.example",
    description: "with -auto-tls: the names to obtain them for",
  },
  email: {
    type: "string",
    valueHint: "you@example.com",
    description: "with -auto-tls: where the authority may write to",
  },
  "dns-provider": {
    type: "string",
    valueHint: "cloudflare",
    description: "with -auto-tls: prove names by DNS, also *.example.com",
  },
  staging: { type: "boolean", description: "with -auto-tls: of the test environment" },
  version: { type: "boolean", description: "print versions and the engine, and end" },
} as const satisfies Record<FlagName | "config" | "pid-file" | "version", ArgDef>;
