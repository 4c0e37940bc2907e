// The library: everything that `import … from "bun-tunnel"` offers. Re-exports only.

export { type Addr } from "./library/addr.ts";
export {
  AutoManager,
  type AutoCertificate,
  type AutoTlsOptions,
  defaultAutoManager,
  quickSetup,
} from "./library/auto-manager.ts";
export type {
  AuthorityChoice,
  AuthorityConfig,
  AutoManagerConfig,
  CustomDnsProvider,
} from "./library/auto-manager-config.ts";
export { REVOCATION_REASONS } from "./control/acme/issuer.ts";
export type { CertificateStatus } from "./control/acme/status.ts";
export type { TxtRecord } from "./control/dns/provider.ts";
export {
  BUFFER_SIZE_DEFAULT,
  BUFFER_SIZE_LARGE,
  type Conn,
  type Listener,
} from "./library/conn.ts";
export type { ConnInfo } from "./library/conn-info.ts";
export {
  ConnManager,
  type ConnManagerConfig,
  type ConnManagerStats,
} from "./library/conn-manager.ts";
export {
  ConnPool,
  type ConnPoolConfig,
  type ConnPoolStats,
  defaultConnPoolConfig,
  PoolDialer,
} from "./library/conn-pool.ts";
export { dial, type DialOptions } from "./library/dial.ts";
export {
  forward,
  type Forwarder,
  type ForwardOptions,
  type ForwardResult,
  handlePair,
  newForwarder,
} from "./library/forward.ts";
export { listen, type ListenOptions } from "./library/listen.ts";
export {
  clientPreset,
  highThroughputPreset,
  serverPreset,
  type TunnelPreset,
} from "./library/presets.ts";
export { type Protocol, tcp } from "./library/protocol.ts";
export { type ConnSettings, optimizeTcpConn } from "./library/settings.ts";
export { Tunnel, type TunnelStats } from "./library/tunnel.ts";
export type { Mode, TunnelConfig } from "./library/tunnel-config.ts";
export { type ErrorCode, ProxyError } from "./shared/errors.ts";
export { type Log, silentLog } from "./shared/log.ts";
