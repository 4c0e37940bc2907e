// What the measurements of QUIC have in common.

/** Who speaks HTTP/3, and who relays raw streams. */
export const HTTP3_GATEWAYS = /^(proxy-quic|caddy-h3)$/;
export const QUIC_RELAYS = /^(proxy-quic|quic-go|matrixai)$/;

/** The measurements that these take part in. */
export const QUIC_ONLY = /^(http3|quic)-/;
export const HTTP3_ONLY = /^http3-/;
export const RAW_ONLY = /^quic-/;

/** What all relays of raw streams agree to. */
export const ALPN = "quic-proxy";

/** Until what serves is compiled to its last tier. */
export const RELAY_WARM_MS = 4_000;
