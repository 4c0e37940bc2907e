// The flags of `proxy` itself, for citty. Names and meaning follow the original program; what each does to the
// configuration is in config/flags.ts.

import type { ArgsDef } from "citty";

export const RUN_ARGS = {
  protocol: { type: "string", valueHint: "tcp", description: "what to forward (default: tcp)" },
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
  admin: { type: "string", valueHint: "127.0.0.1:9090", description: "dashboard and metrics" },
  cert: { type: "string", valueHint: "cert.pem", description: "certificate of a TLS listener" },
  key: { type: "string", valueHint: "key.pem", description: "private key of a TLS listener" },
  "auto-tls": { type: "boolean", description: "get certificates by ACME" },
  email: { type: "string", valueHint: "you@example.com", description: "your address, for the CA" },
  domains: { type: "string", valueHint: "a.example,b.example", description: "domains to certify" },
  "dns-provider": { type: "string", valueHint: "cloudflare", description: "prove domains by DNS" },
  staging: { type: "boolean", description: "use the CA's test environment" },
  version: { type: "boolean", description: "print versions and the engine, and end" },
} as const satisfies ArgsDef;

/** Flags that this version only knows by name; the help page leaves them out. */
export const NOT_YET: readonly (keyof typeof RUN_ARGS)[] = [
  "admin",
  "cert",
  "key",
  "auto-tls",
  "email",
  "domains",
  "dns-provider",
  "staging",
];
