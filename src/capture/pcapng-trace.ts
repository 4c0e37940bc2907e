// A capture as a pcapng file: each connection is the TCP conversation of the client with the proxy, made up from the bytes that
// passed. The target, which no packet of that conversation names, stands in comments. Called by commands/capture.ts.

import { isIPv4 } from "node:net";

import type { Addr } from "../library/addr.ts";
import { parseIPv6 } from "../shared/ip.ts";
import { Conversation } from "./conversation.ts";
import type { End } from "./packets.ts";
import { enhancedPacket, interfaceDescription, sectionHeader } from "./pcapng.ts";
import type { Clock, Format, Trace, Visit, Way } from "./trace.ts";

export interface PcapngOptions {
  /** Name and version of this program. */
  readonly application: string;
  readonly listen: string;
  readonly target: string;
  readonly clock: Clock;
  /** A random number of 32 bits: where sequence numbers begin. */
  readonly chance: () => number;
}

const NOTE =
  "TCP between clients and the proxy, made up from the bytes that were relayed: addresses, ports, bytes, their order and " +
  "their times are real; packet limits, handshakes and acknowledgments are not. An ACK of the client means that the " +
  "proxy's system had taken the bytes for it.";

/** Unix sockets have no addresses: theirs are of a block that is for documentation (RFC 5737) and in use nowhere. */
const UNIX_CLIENT = Uint8Array.of(192, 0, 2, 1);
const UNIX_PROXY = Uint8Array.of(192, 0, 2, 2);
/** By which an analyser would guess the protocol, if the target has none either. */
const UNIX_PORT = 1;
/** The first that a client of a unix socket is shown with; those below belong to services. */
const CLIENT_PORT_MIN = 1_024;

export function pcapngFormat(options: PcapngOptions): Format {
  const { application, listen, target } = options;
  const description = `${listen} -> ${target}`;
  const about = interfaceDescription({ name: "proxy", description, comment: NOTE });
  return {
    head: Buffer.concat([sectionHeader(application), about]),
    trace: (visit) => new PcapngTrace(visit, options),
  };
}

class PcapngTrace implements Trace {
  readonly #clock: Clock;
  readonly #visit: Visit;
  readonly #conversation: Conversation;
  readonly #openedAt: bigint;
  /** Goes with the next packet. */
  #comment: string | undefined;

  constructor(visit: Visit, { clock, chance }: PcapngOptions) {
    this.#clock = clock;
    this.#visit = visit;
    this.#conversation = new Conversation(endsOf(visit), { client: chance(), proxy: chance() });
    this.#openedAt = clock();
  }

  opened(): Uint8Array {
    const { number, client, proxy, target } = this.#visit;
    const unix = client.network === "unix" ? `, from a client of ${proxy}` : "";
    this.#comment = `connection ${number}${unix}, to ${target}`;
    const [syn, synAck, ack] = this.#conversation.handshake();
    return Buffer.concat([
      this.#blocks("up", [syn!]),
      this.#blocks("down", [synAck!]),
      this.#blocks("up", [ack!]),
    ]);
  }

  connected(target: string): Uint8Array {
    const ms = Number(this.#clock() - this.#openedAt) / 1e6;
    this.#comment = `connected to ${target} after ${ms.toFixed(1)} ms`;
    return this.#blocks("up", []);
  }

  data(way: Way, chunk: Uint8Array): Uint8Array {
    if (way === "down") return this.#blocks("down", this.#conversation.data("proxy", chunk));
    const segments = this.#blocks("up", this.#conversation.data("client", chunk));
    return Buffer.concat([segments, this.#blocks("down", this.#conversation.acknowledge("proxy"))]);
  }

  delivered(): Uint8Array {
    return this.#blocks("up", this.#conversation.acknowledge("client"));
  }

  ended(way: Way): Uint8Array {
    if (way === "down") return this.#blocks("down", this.#conversation.fin("proxy"));
    const fin = this.#blocks("up", this.#conversation.fin("client"));
    return Buffer.concat([fin, this.#blocks("down", this.#conversation.acknowledge("proxy"))]);
  }

  reset(way: Way, reason: string): Uint8Array {
    if (!this.#conversation.over) this.#comment = reason;
    return this.#blocks(way, this.#conversation.reset(way === "up" ? "client" : "proxy"));
  }

  closed(): Uint8Array {
    return this.#blocks("up", []); // its packets have said so
  }

  #blocks(way: Way, packets: readonly Uint8Array[]): Uint8Array {
    const time = this.#clock();
    const direction = way === "up" ? "inbound" : "outbound";
    const blocks = packets.map((packet) => {
      const comment = this.#comment;
      this.#comment = undefined;
      return enhancedPacket({ time, packet, direction, comment });
    });
    return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
  }
}

function endsOf({ number, client, proxy, target }: Visit): { client: End; proxy: End } {
  if (client.network === "unix") {
    const range = 0x10000 - CLIENT_PORT_MIN;
    return {
      client: { ip: UNIX_CLIENT, port: CLIENT_PORT_MIN + ((number - 1) % range) },
      proxy: { ip: UNIX_PROXY, port: Number(/:(\d+)$/.exec(target)?.[1] ?? UNIX_PORT) },
    };
  }
  // A client that is gone already has no address any more.
  const v4 = [client, proxy].every(({ host }) => host === "" || isIPv4(host));
  const end = ({ host, port }: Addr): End => ({ ip: v4 ? ipv4(host) : ipv6(host), port });
  return { client: end(client), proxy: end(proxy) };
}

function ipv4(host: string): Uint8Array {
  return host === "" ? new Uint8Array(4) : Uint8Array.from(host.split("."), Number);
}

function ipv6(host: string): Uint8Array {
  return parseIPv6(isIPv4(host) ? `::ffff:${host}` : host === "" ? "::" : host);
}
