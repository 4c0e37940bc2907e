// A connection to a backend that speaks HTTP/2: what the pool keeps (BackendConnection). Requests go out as streams, as many
// at once as the backend allows; the pool is told when that changes.
//
// Invariant: a request that the backend cannot have processed, by GOAWAY or REFUSED_STREAM, fails as `unprocessed`, so that
// it may be sent again elsewhere; no other does.

import { ProxyError } from "../../../shared/errors.ts";
import { H1, H2 } from "../../../shared/limits.ts";
import type {
  BackendConnection,
  BackendEvents,
  BackendSetup,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../exchange.ts";
import { type RequestHead, ResponseHead } from "../message/heads.ts";
import { ClientStream } from "./client-stream.ts";
import { ENDED, RESET, RESET_BY_PEER } from "./closed-streams.ts";
import { UNKNOWN_TIME } from "./connection.ts";
import * as C from "./constants.ts";
import * as Guard from "./guards.ts";
import { BROKEN, DECODED } from "./hpack/decoder.ts";
import { readResponse } from "./section.ts";
import { Session } from "./session.ts";
import type { Stream } from "./stream.ts";
import { writeRequest } from "./write-section.ts";

/** Valid during the call in which it is told. */
const answer = new ResponseHead();

const HEALTH_PING = new TextEncoder().encode("are you?");

export class Http2Backend extends Session implements BackendConnection {
  readonly #events: BackendEvents;
  /** The backend's SETTINGS_MAX_CONCURRENT_STREAMS, as far as we use it. */
  #allowed: number = H2.backendStreams;
  #connectProtocol = false;
  #ready = false;
  #closing = false;
  #failure: Failure | null = null;
  /** When something last came in, by sweeps; and a PING that is not answered yet. */
  #heard = false;
  #heardMs: number;
  #askedMs = -1;

  constructor(setup: BackendSetup) {
    super(setup.wire, {
      server: false,
      headBytes: setup.limits.headBytes,
      headFields: setup.limits.headFields,
      windowBytes: H2.backendWindowBytes,
      nowMs: UNKNOWN_TIME,
      settings: [
        [C.SETTINGS_ENABLE_PUSH, 0],
        [C.SETTINGS_INITIAL_WINDOW_SIZE, H2.streamWindowBytes],
        [C.SETTINGS_MAX_HEADER_LIST_SIZE, setup.limits.headBytes],
      ],
    });
    this.#events = setup.events;
    this.#heardMs = this.nowMs;
  }

  get free(): number {
    return this.#ready && !this.closing ? Math.max(0, this.#allowed - this.streams.size) : 0;
  }

  get active(): number {
    return this.streams.size;
  }

  get closing(): boolean {
    return this.#closing || !this.isOpen;
  }

  /** Whether the backend takes extended CONNECT (RFC 8441); known once it is ready. */
  get takesUpgrades(): boolean {
    return this.#connectProtocol;
  }

  request(head: RequestHead, events: ResponseEvents): BackendStream {
    if (this.closing)
      throw new ProxyError("ERR_STATE", "a connection that is closing takes no request");
    const id = this.last === 0 ? 1 : this.last + 2;
    const stream = new ClientStream(id, this, this.peerWindow, events, head);
    if (head.upgrade !== "" && !this.#connectProtocol) {
      stream.keepBack();
      queueMicrotask(() => stream.refuseUpgrade());
      return stream;
    }
    this.last = id;
    this.streams.set(id, stream);
    const end = head.contentLength === 0 && head.upgrade === "";
    writeRequest(this.sender, id, head, end);
    stream.localEnded = end;
    if (id >= C.MAXIMUM - 2) this.close();
    return stream;
  }

  // Answers.

  protected onNewHeaders(id: number): void {
    this.onConnectionError(C.PROTOCOL_ERROR, `HEADERS on stream ${id}, which nobody opened`);
  }

  protected onStreamHeaders(
    stream: Stream,
    end: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    if (stream.hasHead) return this.takeTrailers(stream, end, bytes, from, to);
    answer.clear();
    answer.version = 20;
    const outcome = this.decoded(this.decoder.decode(bytes, from, to, answer.fields));
    if (outcome === BROKEN) return;
    if (outcome !== DECODED)
      return this.#fail(stream, "too_large", "the answer's head is too large");
    let wrong = readResponse(answer, end);
    const asked = stream as ClientStream;
    if (answer.status < 200 && ++asked.interims > H1.interimMax) {
      wrong = "too many answers of status 1xx";
    }
    if (wrong !== "") return this.onStreamError(stream.id, C.PROTOCOL_ERROR, wrong);
    asked.takeHead(answer, end);
    if (end && !stream.over) this.remoteEnd(stream, null);
  }

  #fail(stream: Stream, code: Failure["code"], message: string): void {
    this.resetStream(stream, C.CANCEL);
    stream.tellFailure({ code, message, unprocessed: false });
  }

  /** The request is whole, or the answer is and waits to be taken. */
  protected onLocalEnd(): void {}

  protected onPeerReset(stream: Stream, code: number): void {
    // The answer is whole: the backend wants no more of the request.
    if (stream.remoteEnded) {
      stream.localEnded = true;
      stream.waiting.clear();
      if (!stream.endHeld) this.closeStream(stream, ENDED);
      return;
    }
    this.closeStream(stream, RESET_BY_PEER);
    const message = `the backend reset the stream (${C.errorName(code)})`;
    stream.tellFailure({ code: "stream_reset", message, unprocessed: code === C.REFUSED_STREAM });
  }

  protected onStreamOver(): void {
    if (this.#closing && this.streams.size === 0) return this.finish();
    if (this.isOpen) this.#events.onChange(this);
  }

  /** An answer that came whole is not lost with its connection. */
  protected override isWhole(stream: Stream): boolean {
    if (stream.endHeld) stream.localEnded = true;
    return stream.endHeld;
  }

  // The connection.

  protected onPeerSetting(id: number, value: number): void {
    if (id === C.SETTINGS_MAX_CONCURRENT_STREAMS)
      this.#allowed = Math.min(value, H2.backendStreams);
    else if (id === C.SETTINGS_ENABLE_CONNECT_PROTOCOL) this.#connectProtocol = value === 1;
    else if (id === C.SETTINGS_ENABLE_PUSH && value !== 0) {
      this.onConnectionError(C.PROTOCOL_ERROR, "a backend that enables push");
    }
  }

  protected onPeerSettings(): void {
    if (this.#ready) return this.#events.onChange(this);
    this.#ready = true;
    this.#events.onReady(this);
  }

  onGoAway(last: number, code: number): void {
    const message = `the backend sent GOAWAY (${C.errorName(code)})`;
    this.#closing = true;
    for (const stream of this.streams.values()) {
      if (stream.id <= last || stream.over) continue;
      this.closeStream(stream, RESET);
      stream.tellFailure({ code: "closed", message, unprocessed: true });
    }
    if (this.isOpen) this.#events.onChange(this);
    if (this.streams.size === 0) this.finish();
  }

  onPingAck(): void {
    this.#askedMs = -1;
  }

  override onData(bytes: Uint8Array): void {
    this.#heard = true;
    super.onData(bytes);
  }

  onEnd(): void {
    this.#closing = true;
    this.endStreams("closed", "the backend ended the connection");
    this.finish();
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.streams.size > 0 || !this.isOpen) return;
    this.sender.output.goAway(0, C.NO_ERROR, "");
    this.finish();
  }

  /**
   * Called about once a second: asks a backend that says nothing while requests wait whether it lives, and gives it up if it
   * does not answer.
   */
  sweep(nowMs: number): void {
    if (!this.sweepConnection(nowMs)) return;
    if (this.#heard || this.streams.size === 0) {
      this.#heard = false;
      this.#heardMs = nowMs;
      this.#askedMs = -1;
    } else if (this.#askedMs >= 0) {
      if (nowMs - this.#askedMs < H2.pingAckMs) return;
      this.#failure = {
        code: "timeout",
        message: "the backend does not answer PING",
        unprocessed: false,
      };
      this.#closing = true;
      this.endStreams("timeout", this.#failure.message);
      this.destroy();
    } else if (nowMs - this.#heardMs >= H2.idlePingMs) {
      this.#askedMs = nowMs;
      this.sender.output.ping(false, HEALTH_PING, 0);
    }
  }

  protected onAbuse(kind: number): void {
    this.#failure = {
      code: "malformed",
      message: `too many ${Guard.guardName(kind)}`,
      unprocessed: false,
    };
  }

  protected onPeerFault(code: number, message: string): void {
    this.#failure ??= {
      code: "malformed",
      message: `${C.errorName(code)}: ${message}`,
      unprocessed: false,
    };
    this.#events.onChange(this);
  }

  protected onGone(failure: Failure | null): void {
    this.#closing = true;
    this.#events.onGone(this, this.#failure ?? failure);
  }
}
