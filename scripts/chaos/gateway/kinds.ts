// What chaos can be let loose on in gateway workers.

export const KINDS = [
  "http",
  "http2",
  "http3",
  "websocket",
  "grpc",
  "tls",
  "quic",
  "link",
  "udp",
] as const;

export type Kind = (typeof KINDS)[number];

export interface GatewaySettings {
  readonly kinds: readonly Kind[];
  readonly minutes: number;
  /** Infinity: as the minutes say. Otherwise exactly so many. */
  readonly rounds: number;
  readonly workers: number;
  readonly seed: number;
  readonly lanes: number;
  /** No worker is crashed. */
  readonly calm: boolean;
  /** A file for what the proxy logs, as with log_level: debug; empty: none. */
  readonly log: string;
}
