// The sockets of an http3 listener: QUIC's, and those of the same port over TCP, as far as this worker has either. Called by
// listener.ts. Invariant: both are bound to the same ports, or neither is open.

import type { SocketAddress } from "../../../shared/address.ts";
import { ProxyError } from "../../../shared/errors.ts";
import type { HttpPlan } from "../../../shared/http-plan.ts";
import { H3 } from "../../../shared/limits.ts";
import type { OpenRequest } from "../../../shared/messages.ts";
import type { ListenerSockets } from "../../host.ts";
import type { QuicAccepting } from "../../quic/bound-endpoints.ts";
import { type QuicAgreement, QuicSockets } from "../../quic/sockets.ts";
import type { QuicDriver } from "../../quic/transport.ts";
import type { WantedNames } from "../../wanted-names.ts";

/** Sockets, and how their listener closes them. */
export interface HttpSockets extends ListenerSockets {
  /** Accepts nobody any more. */
  close(): void;
  /** Ends handshakes that are under way, too. */
  abort(): void;
}

/** @throws ProxyError ERR_STATE without certificates. */
export function quicSocketsOf<Ticket>(
  driver: () => QuicDriver,
  request: OpenRequest<HttpPlan>,
  wanted: WantedNames | null,
  accepting: QuicAccepting<Ticket>,
): QuicSockets<Ticket> {
  const { key } = request.listener;
  const certificates = request.certificates?.server ?? null;
  if (certificates === null) throw new ProxyError("ERR_STATE", `${key} has no certificates`);
  const agreement = { ...agreementOf(request.listener), wanted };
  return new QuicSockets(driver, request, agreement, certificates, accepting);
}

function agreementOf({ tls, h3, limits, timeouts, buffers }: HttpPlan): QuicAgreement {
  const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
  return {
    alpn: ["h3"],
    clientAuth: tls?.clientAuth ?? "none",
    transport: {
      idleMs: H3.clientIdleMs,
      keepAliveMs: H3.clientKeepAliveMs,
      handshakeMs: timeouts.handshakeMs,
      bidirectionalStreams: limits.streams,
      unidirectionalStreams: H3.peerUnidirectionalStreams,
      streamWindow: H3.streamWindowBytes,
      connectionWindow: H3.clientWindowBytes,
      datagrams: false,
    },
    watermarks: { highBytes, lowBytes },
    earlyData: h3?.earlyData ?? false,
    retryFrom: H3.retryFrom,
    keyLog: null,
  };
}

export class Http3Sockets<Ticket> implements HttpSockets {
  readonly #streams: HttpSockets | null;
  readonly #quic: QuicSockets<Ticket>;

  /** @param streams null: over QUIC alone. */
  constructor(streams: HttpSockets | null, quic: QuicSockets<Ticket>) {
    this.#streams = streams;
    this.#quic = quic;
  }

  async open(): Promise<readonly SocketAddress[]> {
    if (this.#streams === null) return this.#quic.open();
    const bound = await this.#streams.open();
    await this.#quic.openOn(bound);
    return bound;
  }

  duplicates(): readonly number[] {
    return this.#streams?.duplicates() ?? [];
  }

  get overQuic(): ListenerSockets {
    return this.#quic;
  }

  get lingers(): boolean {
    return this.#quic.lingers;
  }

  follow(before: ListenerSockets): void {
    this.#quic.follow(before);
  }

  async accept(): Promise<readonly string[]> {
    const told = (await this.#streams?.accept()) ?? [];
    return [...told, ...(await this.#quic.accept())];
  }

  handOn(): void {
    this.#streams?.handOn();
    this.#quic.handOn();
  }

  close(): void {
    this.#streams?.close();
    this.#quic.close();
  }

  abort(): void {
    this.#streams?.abort();
    this.#quic.abort();
  }
}
