// What each reason of a refusal means, in a few words; the names are those of metrics and of the log. Called by
// trouble.tsx.

import type { Refusal } from "../shared/messages.ts";

const WORDS: Readonly<Record<Refusal, string>> = {
  max_connections: "as many as limits allow are open",
  table_full: "as many as descriptors allow are open",
  descriptors: "no descriptor was left",
  no_address: "the target's name has no address",
  target_down: "no target took it",
  connect_timeout: "no target took it in time",
  denied: "the address may not",
  accept_rate: "too many came at once",
  max_per_ip: "the address has too many",
  proxy_untrusted: "a PROXY header of somebody who is not trusted",
  proxy_header: "no PROXY header came",
  proxy_timeout: "the PROXY header did not come in time",
  client_hello: "broken TLS",
  hello_timeout: "TLS did not begin in time",
  no_route: "no route fits",
  tls_handshake: "no TLS was agreed upon",
  http_malformed: "no HTTP, or ambiguous",
  http_head_too_large: "too large a head",
  http_body_too_large: "too large a body",
  http_head_timeout: "the head did not come in time",
  http_slow: "sent or read too slowly",
  http_queue: "too many wait for the target",
  http_backend: "the target broke off, or the rules",
  http_backend_timeout: "the target did not answer in time",
  http2_rapid_reset: "too many streams were cancelled",
  http2_flood: "too many frames without a use",
  http2_header_bomb: "fields many times what was sent",
  http3_rapid_reset: "too many streams were cancelled",
  quic_token: "no token, or a wrong one",
  quic_target: "the link to the target broke off",
  circuit_open: "every target has failed too often",
  overload: "overloaded: new work is shed first",
};

export const MEANINGS: Readonly<Record<string, string>> = WORDS;
