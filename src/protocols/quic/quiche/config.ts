// What quiche is configured with: TLS from certificates as they are at the moment, and transport parameters. A
// configuration of quiche has one certificate, so a listener with several has one for each, and chooses by the client's
// hello. Called by endpoints and by what connects.

import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

import type { CertificateMaterial, TargetCertificates } from "../../../shared/certificates.ts";
import { messageOf, ProxyError } from "../../../shared/errors.ts";
import { QUICHE } from "../../../shared/limits.ts";
import { bundles, ByName } from "../../wire/by-name.ts";
import { systemRoots } from "../../wire/tls-context.ts";
import type { QuicConnectOptions, QuicListenOptions, QuicTransport } from "../transport.ts";
import type { Binding, Config } from "./binding.ts";

/** The largest datagram that is taken (RFC 9000 section 18.2). */
const PAYLOAD_MAX_BYTES = 65_527;
const TICKET_KEY_BYTES = 48;
/** Bytes that nobody sends in one connection. */
const UNLIMITED = 2 ** 50;

/** Two of each: over the loopback interface larger packets are sent. */
export interface Configs {
  readonly network: Config;
  readonly loopback: Config;
}

/** A listener's side. */
export class ServerConfigs {
  readonly #binding: Binding;
  readonly #options: QuicListenOptions;
  #byName!: ByName<Configs>;
  #count = 0;
  /** By what they are made of: of many certificates, one or two change at a time. */
  #made = new Map<string, Configs>();
  /** Whoever was verified by the authorities of then is not by those of now, so tickets of then are not taken. */
  #ticketKey = randomBytes(TICKET_KEY_BYTES);
  #clientCa: string | null = null;

  /** @param before those that these replace: what they have in common is not made again. @throws ProxyError ERR_CERTIFICATE */
  constructor(binding: Binding, options: QuicListenOptions, before?: ServerConfigs) {
    this.#binding = binding;
    this.#options = options;
    // Tickets are of what was agreed upon: whoever resumes would otherwise be let in by other rules than those of now.
    if (before !== undefined && isDeepStrictEqual(agreed(before.#options), agreed(options))) {
      this.#made = before.#made;
      this.#ticketKey = before.#ticketKey;
      this.#clientCa = before.#clientCa;
    }
    this.update(options.certificates);
  }

  /** @throws ProxyError ERR_CERTIFICATE, and changes nothing then. */
  update({ certificates, clientCa }: QuicListenOptions["certificates"]): void {
    const key = clientCa === this.#clientCa ? this.#ticketKey : randomBytes(TICKET_KEY_BYTES);
    const made = new Map<string, Configs>();
    const contexts = bundles(certificates).map((bundle) => {
      const shown = fittest(bundle);
      const make = (local: boolean): Config => this.#make(shown, clientCa, key, local);
      const before = key === this.#ticketKey ? this.#made.get(shown.chain) : undefined;
      const context = before ?? { network: make(false), loopback: make(true) };
      made.set(shown.chain, context);
      return { names: bundle[0]!.names, context };
    });
    this.#byName = new ByName(contexts);
    this.#made = made;
    this.#count = contexts.length;
    this.#ticketKey = key;
    this.#clientCa = clientCa;
  }

  /** Which is used depends on the name that a client asks for. */
  get needsName(): boolean {
    return this.#count > 1 || this.#options.wanted != null;
  }

  /** Whether one is asked for: the client that named it is to come again. */
  isWanted(name: string): boolean {
    const { wanted = null } = this.#options;
    if (wanted === null || name === "" || this.#byName.covers(name)) return false;
    wanted.want(name);
    return !wanted.isDenied(name);
  }

  /** @param name empty if there is none. */
  find(name: string): Configs {
    return this.#byName.find(name);
  }

  #make(
    { chain, key }: CertificateMaterial,
    clientCa: string | null,
    ticketKey: Uint8Array,
    local: boolean,
  ): Config {
    const { clientAuth, alpn, transport, earlyData, keyLog } = this.#options;
    const config = makeTls(() =>
      this.#binding.Config.withBoringSslCtx(
        clientAuth === "require",
        false,
        clientAuth === "none" || clientCa === null ? null : Buffer.from(clientCa),
        [new Uint8Array(key)],
        [Buffer.from(chain)],
        null,
      ),
    );
    if (clientAuth === "request") config.verifyPeer(true);
    config.setTicketKey(ticketKey);
    if (earlyData) config.enableEarlyData();
    if (keyLog !== null) config.logKeys();
    setTransport(config, alpn, transport, local);
    return config;
  }
}

/** What a configuration is made of, besides certificates. */
function agreed({ alpn, clientAuth, transport, earlyData, keyLog }: QuicListenOptions): unknown {
  return [alpn, clientAuth, transport, earlyData, keyLog !== null];
}

/** A context of the binding has one key. Every client of TLS 1.3 takes ECDSA with P-256 (RFC 8446 section 9.1). */
function fittest(bundle: readonly CertificateMaterial[]): CertificateMaterial {
  return bundle.find(({ keyType }) => keyType === "ec") ?? bundle[0]!;
}

/** A target's side: made once for each set of options, since a system has a hundred and fifty roots to read. */
const CLIENT_CONFIGS = new WeakMap<
  TargetCertificates | typeof NO_CERTIFICATES,
  Map<string, Client>
>();
const NO_CERTIFICATES = {};

export interface Client {
  readonly config: Config;
  /** The last session with each address and name: for this configuration only, since a session counts as verified. */
  readonly sessions: Map<string, Uint8Array>;
}

/** @throws ProxyError ERR_CERTIFICATE */
export function clientConfig(
  binding: Binding,
  options: QuicConnectOptions,
  local: boolean,
): Client {
  const { certificates, alpn, insecure, transport, earlyData, keyLog } = options;
  const owner = certificates ?? NO_CERTIFICATES;
  let made = CLIENT_CONFIGS.get(owner);
  if (made === undefined) CLIENT_CONFIGS.set(owner, (made = new Map()));
  const key = JSON.stringify([alpn, insecure, transport, earlyData, keyLog !== null, local]);
  let client = made.get(key);
  if (client === undefined) {
    client = { config: makeClient(binding, options, local), sessions: new Map() };
    made.set(key, client);
  }
  return client;
}

function makeClient(binding: Binding, options: QuicConnectOptions, local: boolean): Config {
  const { certificates, alpn, insecure, transport, earlyData, keyLog } = options;
  const own = certificates?.certificate ?? null;
  const authorities = insecure ? null : (certificates?.ca ?? systemRoots().join("\n"));
  const config = makeTls(() =>
    binding.Config.withBoringSslCtx(
      !insecure,
      false,
      authorities === null ? null : Buffer.from(authorities),
      own && [new Uint8Array(own.key)],
      own && [Buffer.from(own.chain)],
      null,
    ),
  );
  if (earlyData) config.enableEarlyData();
  if (keyLog !== null) config.logKeys();
  setTransport(config, alpn, transport, local);
  return config;
}

function makeTls(make: () => Config): Config {
  try {
    return make();
  } catch (error) {
    const problem = `certificates cannot be used for QUIC: ${messageOf(error)}`;
    throw new ProxyError("ERR_CERTIFICATE", problem, { cause: error });
  }
}

/** Of a stream that nothing was read of: the sum over all streams is what a peer may fill without being read. */
function firstWindow(transport: QuicTransport): number {
  const { streamWindow, connectionWindow, bidirectionalStreams, unidirectionalStreams } = transport;
  const share = Math.floor(connectionWindow / (bidirectionalStreams + unidirectionalStreams));
  return Math.min(streamWindow, Math.max(QUICHE.firstWindowBytes, share));
}

function setTransport(
  config: Config,
  alpn: readonly string[],
  transport: QuicTransport,
  local: boolean,
): void {
  config.setApplicationProtos(alpn);
  config.setMaxIdleTimeout(transport.idleMs);
  // quiche 0.18 never gives back what a stream that was reset had not been read of: a window of the connection would close
  // for good. So streams have windows alone, which begin with a share of the connection's, and grow as they
  // are read.
  config.setInitialMaxData(UNLIMITED);
  config.setMaxConnectionWindow(UNLIMITED);
  const first = firstWindow(transport);
  config.setInitialMaxStreamDataBidiLocal(first);
  config.setInitialMaxStreamDataBidiRemote(first);
  config.setInitialMaxStreamDataUni(first);
  config.setMaxStreamWindow(transport.streamWindow);
  config.setInitialMaxStreamsBidi(transport.bidirectionalStreams);
  config.setInitialMaxStreamsUni(transport.unidirectionalStreams);
  config.enableDgram(transport.datagrams, QUICHE.datagramsQueued, QUICHE.datagramsQueued);
  config.setMaxRecvUdpPayloadSize(PAYLOAD_MAX_BYTES);
  config.setMaxSendUdpPayloadSize(local ? QUICHE.localPayloadBytes : QUICHE.payloadBytes);
  config.setActiveConnectionIdLimit(QUICHE.cidsMax);
  // Two paths that share an id are how a peer could make quiche 0.18 loop for ever (CVE-2025-7054).
  config.setDisableDcidReuse(true);
  // With 2 % of packets lost 50 ms away, a page of 30 objects takes 650 ms, and with cubic 2 s; over TCP it takes 700 ms.
  config.setCcAlgorithmName("bbr");
  config.enableHystart(true);
  // The binding does not show when a packet may go.
  config.enablePacing(false);
}
