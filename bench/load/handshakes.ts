// TLS handshakes: connect, shake hands, end in order (close_notify and FIN), wait for the server's end. By OpenSSL, so that the
// client is as fast as one can be; on one processor it makes some thousands a second. Prints one JSON line with the count, the
// time from the connection's begin to the handshake's end, and the relay's CPU time. Started by bench/http/handshakes.ts.

import type { Pointer } from "bun:ffi";

import { Histogram } from "./histogram.ts";
import { type Elapsed, type Going, measured, type TimedRequest } from "./interval.ts";
import { connectBegin, EAGAIN, errno, libc, SHUT_WR } from "./libc.ts";
import { TlsClient } from "./libssl.ts";
import { EPOLLIN, EPOLLOUT, Poller } from "./poller.ts";

export interface HandshakesRequest extends TimedRequest {
  /** Connections at once. */
  inFlight: number;
}

export interface HandshakesResult extends Elapsed {
  handshakes: number;
  p50Us: number;
  p99Us: number;
}

const HANGS_MS = 5_000;
const MSG_TRUNC = 0x20;
const DISCARD_MAX = 64 * 1024;

interface Client {
  readonly ssl: Pointer;
  readonly begin: number;
  shaken: boolean;
}

const tls = new TlsClient();
const times = new Histogram();

function run(port: number, inFlight: number, going: Going): { handshakes: number } {
  const poller = new Poller();
  const clients = new Map<number, Client>();
  let begun = 0;
  let done = 0;
  const begin = (): void => {
    begun++;
    const fd = connectBegin(port);
    clients.set(fd, { ssl: tls.open(fd), begin: performance.now(), shaken: false });
    poller.add(fd, EPOLLOUT);
  };
  const close = (fd: number, ssl: Pointer): void => {
    tls.free(ssl);
    libc.close(fd);
    clients.delete(fd);
    done++;
    if (going(begun)) begin();
  };
  const shake = (fd: number, client: Client): void => {
    if (!tls.handshake(client.ssl)) return;
    times.record(performance.now() - client.begin);
    client.shaken = true;
    tls.end(client.ssl);
    libc.shutdown(fd, SHUT_WR);
  };
  /** Tickets that the server sent are of no interest. */
  const awaitEnd = (fd: number, client: Client): void => {
    const got = libc.recv(fd, null, DISCARD_MAX, MSG_TRUNC);
    if (got > 0 || (got < 0 && errno() === EAGAIN)) return;
    close(fd, client.ssl); // also after a reset: the handshake was complete
  };
  times.clear();
  while (begun < inFlight && going(begun)) begin();
  while (clients.size > 0) {
    const ready = poller.wait(HANGS_MS);
    if (ready === 0) throw new Error(`${clients.size} connections hang`);
    for (let i = 0; i < ready; i++) {
      const fd = poller.fdAt(i);
      const client = clients.get(fd)!;
      if ((poller.eventsAt(i) & EPOLLOUT) !== 0) poller.change(fd, EPOLLIN);
      if (client.shaken) awaitEnd(fd, client);
      else shake(fd, client);
    }
  }
  poller.close();
  return { handshakes: done };
}

function measure(request: HandshakesRequest): HandshakesResult {
  const { port, inFlight } = request;
  const result = measured(request, (going) => run(port, inFlight, going));
  return { ...result, p50Us: times.percentileUs(0.5), p99Us: times.percentileUs(0.99) };
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
