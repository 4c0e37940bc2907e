// A target that never answers: a listening socket that nobody accepts from and whose queue is full, so that the kernel
// drops every further SYN (listen(2)). Linux only, as its system calls are.

import { errno, libc } from "../../src/ffi/libc.ts";
import { AF_INET, MSG_DONTWAIT, SOCK_NONBLOCK, SOCK_STREAM } from "../../src/ffi/linux.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_MAX_BYTES } from "../../src/ffi/sockaddr.ts";
import { until } from "./until.ts";

export class SilentTarget implements Disposable {
  readonly port: number;
  readonly #fds: number[];

  private constructor(port: number, fds: number[]) {
    this.port = port;
    this.#fds = fds;
  }

  static async start(port = 0): Promise<SilentTarget> {
    const listening = socket();
    const { bytes } = encodeSockaddr({ kind: "ip", host: "127.0.0.1", port });
    check(libc.bind(listening, bytes, bytes.length));
    check(libc.listen(listening, 0));
    const name = new Uint8Array(SOCKADDR_MAX_BYTES);
    const length = new Uint32Array([name.length]);
    check(libc.getsockname(listening, name, length));
    const address = decodeSockaddr(name, length[0]!);
    if (address.kind !== "ip") throw new Error("not an IP address");
    const target = new SilentTarget(address.port, [listening]);
    const full = encodeSockaddr(address).bytes;
    // A backlog of 0 takes one connection; further ones stay in SYN_SENT.
    for (let i = 0; i < 3; i++) {
      const filler = socket();
      libc.connect(filler, full, full.length);
      target.#fds.push(filler);
    }
    await until(
      "the queue is full",
      () => libc.getpeername(target.#fds[1]!, name, new Uint32Array([112])) === 0,
    );
    return target;
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** From now on there is room in the queue (listen(2) changes its length): the next SYN that is sent again is answered. */
  answer(): void {
    check(libc.listen(this.#fds[0]!, 16));
  }

  /**
   * Accepts whoever comes and reads.
   * @returns what came before the first FIN; the connections that filled the queue send none.
   */
  async readToFin(): Promise<Buffer> {
    const readers: Reader[] = [];
    let whole: Buffer | null = null;
    await until("a FIN arrives", () => {
      const fd = libc.accept4(this.#fds[0]!, null, null, SOCK_NONBLOCK);
      if (fd >= 0) {
        this.#fds.push(fd);
        readers.push(new Reader(fd));
      }
      whole = readers.find((reader) => reader.readOn())?.bytes ?? null;
      return whole !== null;
    });
    return whole!;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) libc.close(fd);
  }
}

/** What has come on one connection. */
class Reader {
  readonly #fd: number;
  readonly #chunks: Buffer[] = [];

  constructor(fd: number) {
    this.#fd = fd;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** @returns whether the FIN has come. */
  readOn(): boolean {
    for (;;) {
      const chunk = Buffer.alloc(64 * 1024);
      const got = libc.recv(this.#fd, chunk, chunk.length, MSG_DONTWAIT);
      if (got <= 0) return got === 0;
      this.#chunks.push(chunk.subarray(0, got));
    }
  }
}

function socket(): number {
  return check(libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
}

function check(result: number): number {
  if (result < 0) throw new Error(`errno ${errno()}`);
  return result;
}
