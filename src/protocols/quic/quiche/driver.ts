// The QUIC driver `quiche`: the native binding, driven by packet loops of ours. Called by pick.ts.

import { ProxyError } from "../../../shared/errors.ts";
import { bindAt, takeOver } from "../../datagrams/bind.ts";
import type { GatewayHost } from "../../host.ts";
import type {
  QuicConnected,
  QuicConnecting,
  QuicConnectOptions,
  QuicDriver,
  QuicEndpoint,
  QuicListenOptions,
} from "../transport.ts";
import type { Binding } from "./binding.ts";
import { Dial } from "./dial.ts";
import { QuicheEndpoint } from "./endpoint.ts";
import type { EndpointHost } from "./parts.ts";

/** What a driver needs of its worker. */
export type QuicHost = EndpointHost & Pick<GatewayHost, "keyLog">;

export class QuicheDriver implements QuicDriver {
  readonly name = "quiche";
  readonly #binding: Binding;
  readonly #host: QuicHost;

  constructor(binding: Binding, host: QuicHost) {
    this.#binding = binding;
    this.#host = host;
  }

  async listen(options: QuicListenOptions): Promise<QuicEndpoint> {
    const { address, fd, reusePort, buffers } = options;
    if (address.kind === "unix") {
      throw new ProxyError("ERR_LISTEN", `cannot listen on unix:${address.path}: QUIC has ports`);
    }
    const endpoint = new QuicheEndpoint(this.#binding, options, this.#host);
    await endpoint.open((handlers) =>
      fd === undefined
        ? bindAt(address.host, address.port, reusePort, handlers)
        : takeOver(fd, handlers),
    );
    this.#host.setBuffers(endpoint.fd, buffers);
    return endpoint;
  }

  connect(options: QuicConnectOptions, connected: QuicConnected): QuicConnecting {
    const dial = new Dial(this.#binding, options, connected, this.#host);
    dial.start();
    return dial;
  }
}
