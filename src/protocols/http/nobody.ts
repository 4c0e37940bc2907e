// What stands in the place of streams, events and clients where there is none: an exchange that is not under way refers to
// these, so that its fields have one type and a stream that is over has nobody to tell. Calls to them do nothing.

import { ProxyError } from "../../shared/errors.ts";
import type { ClientConnection, ClientStream, RequestEvents } from "./exchange.ts";

/** Takes what a stream tells after its exchange is over. */
export const NOBODY: RequestEvents = {
  onRequestBody() {},
  onRequestEnd() {},
  onRequestFailure() {},
  onClientDrain() {},
};

export const NO_CLIENT: ClientConnection = { address: "", port: 0, tls: null, trusted: false };

/** Answering nobody is a bug of ours. */
export const NO_STREAM: ClientStream = {
  connection: NO_CLIENT,
  events: NOBODY,
  sendInformational: fail,
  sendHead: fail,
  sendBody: fail,
  sendEnd: fail,
  reset: fail,
  pause: fail,
  resume: fail,
};

function fail(): never {
  throw new ProxyError("ERR_STATE", "an exchange that is over has no stream");
}
