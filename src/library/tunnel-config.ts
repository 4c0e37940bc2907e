// What a tunnel is told, as users of the library write it. Every field takes effect or is refused; the defaults stand beside
// the fields and are filled in by tunnel-plan.ts.

import type { Log } from "../shared/log.ts";
import type { EngineChoice } from "../shared/plan.ts";

/** Which side of a tunnel this is. It chooses the watermarks that are not given. */
export type Mode = "auto" | "server" | "client";

/** Durations are milliseconds, sizes are bytes, both whole numbers. */
export interface TunnelConfig {
  /**
   * What the tunnel speaks: `tcp`. `http2`, `http3` and `quic` are not available in this version (`ERR_NOT_AVAILABLE`). A
   * protocol of your own goes to `setProtocol`. Default `tcp`.
   */
  readonly protocol?: "tcp" | "http2" | "http3" | "quic";
  /** Where clients connect: `:8080` (every address), `host:8080`, `[::1]:8080` or `unix:/path`. Port 0 takes any free one. */
  readonly listenAddr: string;
  /** Where their bytes go: `host:port` or `unix:/path`. A name is resolved, and its addresses are tried in turn. */
  readonly targetAddr: string;
  /** Certificates for `http2`, `http3` and `quic`: not available in this version. */
  readonly tlsConfig?: object;
  /** The most that one read copies, cut to the high watermark. Default 64 KiB (`BUFFER_SIZE_DEFAULT`). */
  readonly bufferSize?: number;

  /** Watermarks by default: `server` 2 MiB and 1 MiB, else 1 MiB and 512 KiB. Default `auto`, which is as `client`. */
  readonly mode?: Mode;

  /** Connections open at once; more are refused at once, and counted. 0: as many as the system allows. Default 0. */
  readonly maxConnections?: number;
  /** A connection on which no byte moves either way for so long is reset. 0: never. Default 0. */
  readonly connectionTimeout?: number;
  /** How long an accepted connection may wait until its target is reached; then it is refused. Default 5,000. */
  readonly acceptTimeout?: number;

  /**
   * Instead of `bufferSize`. One buffer takes what is read and gives what is written, so the larger of `readBufferSize` and
   * `writeBufferSize` is its size.
   */
  readonly readBufferSize?: number;
  /** See `readBufferSize`. */
  readonly writeBufferSize?: number;
  /** Connections share buffers and pipes, always: `false` is refused. Default true. */
  readonly writeBufferPool?: boolean;

  /** Without it a slow reader would fill the memory: `false` is refused. Default true. */
  readonly enableBackpressure?: boolean;
  /** Undelivered bytes of one direction at which it stops reading. Default: see `mode`. */
  readonly backpressureHighWatermark?: number;
  /** Undelivered bytes at which it reads again, below the high watermark. Default: half of it. */
  readonly backpressureLowWatermark?: number;
  /**
   * How long a stalled goroutine sleeps between two looks, at least. There is none here: the system tells when a reader takes
   * bytes again, so there is nothing to wait for, and a value is refused.
   */
  readonly backpressureYieldMin?: undefined;
  /** See `backpressureYieldMin`. */
  readonly backpressureYieldMax?: undefined;

  /** TCP_NODELAY: small writes leave at once. Default true. */
  readonly tcpNoDelay?: boolean;
  /** TCP_QUICKACK: acknowledgements leave at once. Linux only, elsewhere a warning. Default false. */
  readonly tcpQuickAck?: boolean;
  /** TCP_FASTOPEN to clients and targets. Linux only, elsewhere a warning. Default false. */
  readonly tcpFastOpen?: boolean;
  /** SO_SNDBUF. Default: the system's own, which adapts (Windows: 256 KiB). */
  readonly sendBufferSize?: number;
  /** SO_RCVBUF. Default: the system's own, which adapts (Windows: 256 KiB). */
  readonly recvBufferSize?: number;

  /** Prometheus metrics: not available in this version. `stats()` has the figures. Default false. */
  readonly enableMetrics?: boolean;
  /** Prefix of their names: not available in this version. */
  readonly metricsPrefix?: string;

  /** Ours: which relay engine runs `tcp`. Default `auto`, the fastest that works here. */
  readonly engine?: EngineChoice;
  /** Ours: threads of the relay engine. Default 1. */
  readonly workers?: number;
  /** Ours: how long `stop` lets connections go on. Default 30,000. */
  readonly shutdownTimeout?: number;
  /** Ours: silence before, and between, TCP keepalive probes; 0: none. Default 30,000. */
  readonly keepAlive?: number;
  /** Ours: takes log lines. Default: none. */
  readonly log?: Log;
}
