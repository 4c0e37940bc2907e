// One end of a connection in numbers: what the PROXY protocol carries, and what the socket itself says. Engines make it of
// their socket addresses.

/** `ip` has 16 bytes, IPv4 mapped (shared/ip.ts). The path of a unix socket without a name is empty. */
export type Peer =
  | { readonly kind: "ip"; readonly ip: Uint8Array; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Who spoke to whom. */
export interface Endpoints {
  readonly source: Peer;
  readonly destination: Peer;
}
