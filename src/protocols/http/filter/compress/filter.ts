// Compression of answers: the filter of routes with `compress`. Made by filters.ts, called by the relay. It asks what the
// client takes; the backend still sees Accept-Encoding, and what it has compressed itself is passed on.

import type { ClientStream } from "../../exchange.ts";
import type { RequestHead } from "../../message/heads.ts";
import { idOf } from "../../message/names.ts";
import type { Filter } from "../../passage.ts";
import { negotiate } from "./accept-encoding.ts";
import { Encoders } from "./encoders.ts";
import { CompressingStream, forbidsTransforming } from "./stream.ts";

const ACCEPT_ENCODING = idOf("accept-encoding");
/** Of this worker. */
const encoders = new Encoders();

export class CompressFilter implements Filter {
  answer(): null {
    return null;
  }

  wrap(stream: ClientStream, head: RequestHead): ClientStream {
    // An answer of unknown length ends the connection of HTTP/1.0, which costs more than its bytes.
    if (head.upgrade !== "" || head.version === 10) return stream;
    const { fields } = head;
    if (forbidsTransforming(fields)) return stream;
    let accepted = "";
    for (let i = fields.find(ACCEPT_ENCODING); i >= 0; i = fields.find(ACCEPT_ENCODING, i + 1)) {
      accepted += `,${fields.value(i)}`;
    }
    const known = fields.get("if-none-match") ?? "";
    return new CompressingStream(stream, encoders, negotiate(accepted), known);
  }
}
