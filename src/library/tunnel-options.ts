// A tunnel's plan as the options of listen, dial, forward and ConnManager: what a protocol of the user's own is given.

import type { Log } from "../shared/log.ts";
import type { RelayPlan } from "../shared/plan.ts";
import type { ConnManagerConfig } from "./conn-manager.ts";
import type { DialOptions } from "./dial.ts";
import type { ForwardOptions } from "./forward.ts";
import type { ListenOptions } from "./listen.ts";
import type { ConnSettings } from "./settings.ts";

function connSettings({ socket, buffers }: RelayPlan, log: Log): ConnSettings {
  return {
    noDelay: socket.nodelay,
    quickAck: socket.quickack,
    keepAlive: socket.keepaliveSeconds * 1000,
    highWatermark: buffers.highWatermarkBytes,
    lowWatermark: buffers.lowWatermarkBytes,
    ...(socket.sendBufferBytes === null ? {} : { sendBufferSize: socket.sendBufferBytes }),
    ...(socket.receiveBufferBytes === null ? {} : { recvBufferSize: socket.receiveBufferBytes }),
    ...(socket.notsentLowatBytes === null ? {} : { notsentLowat: socket.notsentLowatBytes }),
    log,
  };
}

export function listenOptions(plan: RelayPlan, log: Log): ListenOptions {
  return { ...connSettings(plan, log), fastOpen: plan.socket.fastopen };
}

export function dialOptions(plan: RelayPlan, log: Log, signal: AbortSignal): DialOptions {
  return { ...connSettings(plan, log), timeout: plan.timeouts.connectMs, signal };
}

export function forwardOptions({ buffers }: RelayPlan, log: Log): ForwardOptions {
  return {
    bufferSize: buffers.copyBytes,
    highWatermark: buffers.highWatermarkBytes,
    lowWatermark: buffers.lowWatermarkBytes,
    log,
  };
}

export function managerConfig({ limits, timeouts }: RelayPlan): ConnManagerConfig {
  return {
    maxConnections: limits.maxConnections,
    connectionTimeout: timeouts.idleMs,
    // Dialling has the same limit and says more when it fails; this one is for a protocol that hangs.
    acceptTimeout: timeouts.connectMs,
  };
}
