// What lies between a client and a server of UDP, as a NAT does: it passes datagrams on, counts them, may lose or change them,
// and may go on from another port. For one client. Called by tests of QUIC.

import { Datagrams, type UdpAddress } from "./udp.ts";

export class UdpPath implements AsyncDisposable {
  readonly #server: UdpAddress;
  readonly #inner: Datagrams;
  #outer!: Datagrams;
  readonly #old: Datagrams[] = [];
  #client: UdpAddress | null = null;
  /** Bytes that each sent. */
  fromClient = 0;
  fromServer = 0;
  /** @returns what is passed on; null: it is lost. */
  onClient: (data: Buffer) => Buffer | null = (data) => data;
  onServer: (data: Buffer) => Buffer | null = (data) => data;

  private constructor(inner: Datagrams, server: UdpAddress) {
    this.#inner = inner;
    this.#server = server;
    inner.onDatagram = ({ data, from }) => {
      this.#client = from;
      this.fromClient += data.length;
      const passed = this.onClient(data);
      if (passed !== null) void this.#outer.send(passed, this.#server);
    };
  }

  static async open(server: UdpAddress): Promise<UdpPath> {
    const path = new UdpPath(await Datagrams.open(), { host: server.host, port: server.port });
    await path.move();
    return path;
  }

  /** Where the client sends to. */
  get address(): { kind: "ip" } & UdpAddress {
    return { kind: "ip", ...this.#inner.address };
  }

  /** By which the server knows the client. */
  get port(): number {
    return this.#outer.address.port;
  }

  /** From another port from here on, or another address. What still comes to the old one is lost, as behind a NAT. */
  async move(host?: string): Promise<void> {
    const outer = await Datagrams.open(host);
    outer.onDatagram = ({ data }) => {
      if (outer !== this.#outer) return;
      this.fromServer += data.length;
      const passed = this.onServer(data);
      if (passed !== null && this.#client !== null) void this.#inner.send(passed, this.#client);
    };
    if (this.#outer !== undefined) this.#old.push(this.#outer);
    this.#outer = outer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [this.#inner, this.#outer, ...this.#old]) {
      await socket[Symbol.asyncDispose]();
    }
  }
}
