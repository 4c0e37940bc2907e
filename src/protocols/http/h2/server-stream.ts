// One request on a client's HTTP/2 connection, as the gateway knows it (ClientStream). Made by server.ts.

import type { ClientConnection, ClientStream, Failure, RequestEvents } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import type { RequestHead, ResponseHead } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import type { Sender } from "./sender.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import { writeResponse } from "./write-section.ts";

const CONTENT_TYPE = idOf("content-type");
const GRPC = "application/grpc";

/** What a stream needs of its server. */
export interface ServerStreamOwner extends StreamOwner {
  readonly connection: ClientConnection;
  readonly sender: Sender;
  /** END_STREAM was written. */
  localEnd(stream: Stream): void;
}

/** Before a taker has set its own: whatever is told is of no use to anybody. */
const UNHEARD: RequestEvents = {
  onRequestBody: () => {},
  onRequestEnd: () => {},
  onRequestFailure: () => {},
  onClientDrain: () => {},
};

export class ServerStream extends Stream implements ClientStream {
  events: RequestEvents = UNHEARD;
  readonly head: RequestHead;
  readonly #server: ServerStreamOwner;
  readonly #upgrade: boolean;
  /** A final head was sent. */
  answered = false;
  /** Both directions live apart. */
  upgraded = false;

  constructor(id: number, server: ServerStreamOwner, sendWindow: number, head: RequestHead) {
    super(id, server, sendWindow);
    this.#server = server;
    this.head = head;
    this.#upgrade = head.upgrade !== "" || head.method === "CONNECT";
  }

  get connection(): ClientConnection {
    return this.#server.connection;
  }

  sendInformational(head: ResponseHead): void {
    if (!this.over && !this.answered)
      writeResponse(this.#server.sender, this.id, head, false, false);
  }

  sendHead(head: ResponseHead): void {
    if (this.over || this.answered) return;
    this.answered = true;
    this.upgraded = this.#upgrade && (head.status === 101 || head.status === 200) && !head.bodyless;
    writeResponse(this.#server.sender, this.id, head, head.bodyless, this.upgraded);
    if (head.bodyless) this.#server.localEnd(this);
  }

  /** An upload whose client is to blame if nothing comes: not one that talks with its backend. */
  get owesBody(): boolean {
    return !this.remoteEnded && !this.paused && !this.answered && !this.#upgrade && !this.#isGrpc();
  }

  #isGrpc(): boolean {
    const { fields } = this.head;
    const i = fields.find(CONTENT_TYPE);
    if (i < 0) return false;
    const start = fields.ranges[i * 4 + 2]!;
    const end = Math.min(start + GRPC.length, fields.ranges[i * 4 + 3]!);
    return fields.text(start, end) === GRPC;
  }

  protected tellData(bytes: Uint8Array): void {
    this.events.onRequestBody(bytes);
  }

  protected tellEnd(trailers: Fields | null): void {
    if (!this.over) this.events.onRequestEnd(trailers);
  }

  tellFailure(failure: Failure): void {
    this.events.onRequestFailure(failure);
  }

  tellDrain(): void {
    this.events.onClientDrain();
  }
}
