// What the measurements of datagrams have in common.

/** Who takes part: relays of streams do not. */
export const DATAGRAM_RELAYS = /^(direct|proxy-udp|nginx-udp|go-udp|gost-udp)$/;

/** The measurements that these take part in. */
export const UDP_ONLY = /^udp-/;

/** Until what serves datagrams is compiled to its last tier. */
export const RELAY_WARM_MS = 3_000;
