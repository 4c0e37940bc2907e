// Clients of chaos that nobody has to serve: half a head and gone, no TLS where TLS is spoken, a handshake that stops, a QUIC
// connection that falls silent. What matters is what is left of them: nothing.

import { UdpPath } from "../../../test/support/udp-path.ts";
import { Datagrams } from "../../../test/support/udp.ts";
import { within } from "../../../test/support/until.ts";
import { Wire } from "../../../test/support/wire.ts";
import { openQuic } from "./connect.ts";
import type { LaneHost } from "./http-lane.ts";
import { SILENT_CONNECTION } from "./quic-handlers.ts";

const HUNG_MS = 20_000;
const HOST = "127.0.0.1";

const SCRAPS: readonly string[] = [
  "",
  "G",
  "GET / HT",
  "GET /h1/x HTTP/1.1\r\nhost: a.example\r\nx-long: ",
  "POST /h1/x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 100\r\n\r\nless than a hundred",
  "POST /h2/x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\nff\r\nless",
  "POST /h3/x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
  "GET /h1/x HTTP/1.1\r\nhost: a.example\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
  "\0\x01\x02\x03 no HTTP at all\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\xff\xff\xff\x09\0\0\0\0\x01garbage",
  // SETTINGS, then HEADERS that announce a CONTINUATION which never comes.
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x82",
];

export class Vandals {
  readonly #host: LaneHost;
  readonly #ports: {
    readonly clear: number;
    readonly tls: readonly number[];
    readonly quic: readonly QuicPort[];
  };

  constructor(
    host: LaneHost,
    ports: { clear: number; tls: readonly number[]; quic: readonly QuicPort[] },
  ) {
    this.#host = host;
    this.#ports = ports;
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[Math.trunc(this.#host.random() * list.length)]!;
  }

  /** One of them. What the proxy says to it does not matter, nor whether it is let in. */
  async session(): Promise<void> {
    const { clear, tls, quic } = this.#ports;
    const { random } = this.#host;
    const can: (() => Promise<void>)[] = [];
    if (clear > 0) can.push(() => this.#scrap(clear, Buffer.from(this.#oneOf(SCRAPS), "latin1")));
    if (tls.length > 0) can.push(() => this.#halfHello(this.#oneOf(tls)));
    if (quic.length > 0) {
      can.push(
        () => this.#noise(this.#oneOf(quic)),
        () => this.#silence(this.#oneOf(quic), Math.trunc(random() * 12)),
      );
    }
    if (can.length === 0) return;
    this.#host.journal.count("vandals");
    await within("a vandal", this.#oneOf(can)(), HUNG_MS).catch(() => {});
  }

  /** Says so much, and leaves. */
  async #scrap(port: number, bytes: Buffer): Promise<void> {
    const { random } = this.#host;
    const wire = await Wire.connect({ host: HOST, port });
    const at = Math.trunc(random() * (bytes.length + 1));
    await wire.write(bytes.subarray(0, at));
    if (random() < 0.5) await Bun.sleep(random() * 300);
    await wire.write(bytes.subarray(at));
    await Bun.sleep(random() ** 2 * 300);
    if (random() < 0.3) {
      wire.end();
      await Promise.race([wire.closed, Bun.sleep(500)]);
    }
    if (random() < 0.5) wire.reset();
    else wire.destroy();
  }

  async #halfHello(port: number): Promise<void> {
    const { random } = this.#host;
    // A record of a handshake that says it has 512 bytes.
    const hello = Buffer.concat([
      Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]),
      Buffer.alloc(300, 7),
    ]);
    const bytes = random() < 0.5 ? hello : Buffer.from(this.#oneOf(SCRAPS), "latin1");
    await this.#scrap(port, bytes.subarray(0, Math.trunc(random() * (bytes.length + 1))));
  }

  /** What is no QUIC, or only looks like it. */
  async #noise({ port }: QuicPort): Promise<void> {
    const { random } = this.#host;
    await using client = await Datagrams.open();
    for (let i = 0; i < 8; i++) {
      const bytes = Buffer.alloc(1 + Math.trunc(random() * 1_300), Math.trunc(random() * 256));
      if (random() < 0.5 && bytes.length > 1_200) bytes.set([0xc3, 0, 0, 0, 1, 8]);
      await client.send(bytes, { host: HOST, port });
    }
  }

  /** A connection of which nothing comes through any more after some datagrams, be it in its handshake or later. */
  async #silence({ port, alpn, ca }: QuicPort, datagrams: number): Promise<void> {
    const { random } = this.#host;
    await using path = await UdpPath.open({ host: HOST, port });
    let left = datagrams;
    path.onClient = (data) => (left-- > 0 ? data : null);
    const connection = await openQuic({ port: path.address.port, ca }, alpn, 1_000);
    connection.handler = SILENT_CONNECTION;
    const stream = connection.openStream();
    stream?.write(Buffer.alloc(Math.trunc(random() * 20_000), 65));
    await Bun.sleep(random() * 300);
    left = 0;
    connection.destroy();
  }
}

export interface QuicPort {
  readonly port: number;
  readonly alpn: string;
  readonly ca: string;
}
