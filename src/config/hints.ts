// What people who know other programs write first, and what it is here; and an example for each key that has to be there or has
// to be a mapping. Only words that mean nothing here: a known key is never taken for another. Called by explain.ts.

import { formatPath, type Path } from "./problems.ts";

/** What is looked up is what somebody wrote: `constructor` is a word like any other. */
const mapOf = (words: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(words));

const AUTO_TLS = "auto_tls: { domains: [example.com], agree_terms: true }";

/** Keys of nginx, haproxy, Caddy, Traefik and Envoy. */
const KEYS = mapOf({
  acme: AUTO_TLS,
  add_header: "headers: { response: { add: … } }",
  autocert: AUTO_TLS,
  automatic_https: AUTO_TLS,
  backend: "target, or targets",
  backends: "targets",
  bind: "listen",
  cert: "tls: { cert_file: … }",
  certificate: "tls: { cert_file: … }",
  client_max_body_size: "limits: { max_body: … }",
  domain: "routes with match: { host: … }",
  domains: "routes with match: { host: … }",
  encode: "compress: true",
  fail_timeout: "circuit_breaker: { open: … }",
  gzip: "compress: true",
  keepalive_requests: "limits: { max_requests: … }",
  keepalive_timeout: "timeouts: { keepalive: … }",
  large_client_header_buffers: "limits: { max_head: … }",
  letsencrypt: AUTO_TLS,
  location: "match: { path: … }",
  locations: "routes",
  max_fails: "circuit_breaker: { failures: … }",
  outlier_detection: "circuit_breaker",
  port: 'listen: ":8080"',
  proxy_connect_timeout: "timeouts: { connect: … }",
  proxy_pass: "target",
  proxy_read_timeout: "timeouts: { response: … }, and idle",
  proxy_set_header: "headers: { request: { set: … } }",
  redir: "redirect: { to: … }",
  request_timeout: "timeouts: { total: … }",
  return: "redirect: { to: … }",
  reverse_proxy: "target",
  rule: "match",
  rules: "routes",
  server: "target",
  server_name: "routes with match: { host: … }",
  servers: "targets",
  services: "targets",
  sni_hosts: "sni",
  ssl: "tls",
  ssl_certificate: "tls: { cert_file: … }",
  ssl_certificate_key: "tls: { key_file: … }",
  strip_path: "rewrite: { strip_prefix: … }",
  upstream: "target, or targets",
  upstreams: "targets",
  url: "target",
});

/** By the mapping that holds them: what is ours there. */
const KEYS_BELOW: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  [
    "timeouts",
    mapOf({
      client: "idle",
      server: "response, and idle",
      "http-request": "head",
      "http-keep-alive": "keepalive",
      tunnel: "idle",
      read: "idle",
      send: "idle",
      write: "idle",
      header: "head",
      request: "total",
      queue: "connect",
    }),
  ],
  ["health", mapOf({ uri: "path", url: "path", status: "expect", fails: "fall", passes: "rise" })],
  [
    "circuit_breaker",
    mapOf({
      consecutive_5xx: "failures, and statuses",
      interval: "window",
      base_ejection_time: "open",
      max_ejection_time: "max_open",
      timeout: "open",
      threshold: "failures, or error_rate",
    }),
  ],
  ["rewrite", mapOf({ strip: "strip_prefix", add: "add_prefix", prefix: "add_prefix" })],
  [
    "auto_tls",
    mapOf({
      account_key: "ca: { url: letsencrypt, eab: { … } }",
      acme_ca: "ca",
      acme_server: "ca",
      directory: "ca",
      folder: "storage",
      issuer: "ca",
      key: "key_type",
      names: "domains",
      server: "ca",
      staging: "ca: letsencrypt-staging",
      eab: "ca: { url: zerossl, eab: { … } }",
      resolvers: "dns: { resolvers: … }",
      ask: "on_demand: { ask: … }",
    }),
  ],
  ["redirect", mapOf({ url: "to", location: "to", code: "status", permanent: "status: 308" })],
]);

/** Protocols by other names. */
const PROTOCOLS = mapOf({
  https: "http2",
  h2: "http2",
  "http/2": "http2",
  h3: "http3",
  "http/3": "http3",
  h2c: "http",
  http1: "http",
  "http/1.1": "http",
  web: "http",
  websocket: "http",
  ws: "http",
  wss: "http2",
  grpc: "http2",
  ssl: "tls",
});

/** @param path of the mapping that has it. @returns what to write instead of a key that is another program's. */
export function foreignKey(key: string, path: Path): string | undefined {
  const [above, here] = [path.at(-2), path.at(-1)];
  // A field right below `request`: the way to set it is one step more.
  if (above === "headers" && (here === "request" || here === "response")) {
    return /^[\w-]+$/.test(key) ? `set: { ${key}: … }` : undefined;
  }
  if (typeof here === "string") return KEYS_BELOW.get(here)?.get(key.toLowerCase());
  if (here !== undefined && above === "targets") return undefined;
  return KEYS.get(key.toLowerCase().replaceAll("-", "_"));
}

/** @returns our name of a protocol that was written in another way. */
export function foreignProtocol(name: string): string | undefined {
  return PROTOCOLS.get(name.toLowerCase());
}

/** For what has to be there, and for whoever wrote one value where there are several. */
const EXAMPLES = mapOf({
  protocols: '"protocols:" and one entry for each listener',
  name: "name: tcp",
  listen: 'listen: ":8080"',
  target: 'target: "127.0.0.1:80"',
  address: 'address: "127.0.0.1:80"',
  to: 'to: "https://{host}"',
  cert_file: "cert_file: ./cert.pem",
  key_file: "key_file: ./key.pem",
  redirect: 'redirect: { to: "https://{host}" }',
  rewrite: "rewrite: { strip_prefix: /api }",
  retries: "retries: { attempts: 2 }",
  match: "match: { path: /api/* }",
  health: "health: { type: tcp }",
  tls: "tls: { cert_file: ./cert.pem, key_file: ./key.pem }",
  headers: "headers: { request: { set: { x-env: prod } } }",
  request: "request: { set: { x-env: prod } }",
  response: "response: { set: { x-frame-options: deny } }",
  forwarded: "forwarded: { x_forwarded: false }",
  auto_tls: AUTO_TLS,
  ca: "ca: letsencrypt",
  url: "url: letsencrypt",
  key_id: "key_id: kid-1, as the authority gave it",
  hmac_key_file: "hmac_key_file: ./hmac",
  eab: "eab: { key_id: kid-1, hmac_key_file: ./hmac }",
  dns: "dns: { propagation_delay: 30s }",
  credentials: "credentials: { CLOUDFLARE_API_TOKEN: ./token }",
  on_demand: "on_demand: { ask: http://127.0.0.1:9000/allowed }",
});

/** What may stand there: a key and its value. */
export function exampleOf(path: Path): string | undefined {
  const key = String(path.at(-1));
  // What tells about the proxy is for this machine, unless there is a token.
  if (formatPath(path) === "admin.listen") return 'listen: "127.0.0.1:9090"';
  const isTarget = path.some((step) => step === "target" || step === "targets");
  return key === "tls" && isTarget ? "tls: {}" : EXAMPLES.get(key);
}
