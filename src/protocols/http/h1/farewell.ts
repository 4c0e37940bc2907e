// Wires to backends that are ended in order, and have no owner any more: the backend ends its side too, or is reset a little
// later. One timer for all of them, only while there are any. Called by backend.ts.

import { H1 } from "../../../shared/limits.ts";
import type { Wire, WireHandler } from "../../wire/wire.ts";

const leaving = new Set<Wire>();
/** Those that the next tick resets, which were there at the last one. */
let late: Wire[] = [];
let timer: ReturnType<typeof setInterval> | null = null;

function tick(): void {
  for (const wire of late) if (leaving.delete(wire)) wire.reset();
  late = [...leaving];
  if (timer !== null && leaving.size === 0) {
    clearInterval(timer);
    timer = null;
  }
}

/** Ends the wire. It is gone within twice `H1.lingerMs`. */
export function sayFarewell(wire: Wire): void {
  const handler: WireHandler = {
    onData: () => {
      leaving.delete(wire);
      wire.reset(); // nobody reads it
    },
    onDrain() {},
    onEnd() {},
    onClose: () => void leaving.delete(wire),
  };
  wire.handler = handler;
  leaving.add(wire);
  if (timer === null) {
    timer = setInterval(tick, H1.lingerMs);
    timer.unref(); // the wires themselves keep a worker alive
  }
  wire.end();
  wire.resume();
}
