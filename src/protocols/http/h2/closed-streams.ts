// How the last streams of a connection ended, since it decides what frames that still come for them are (RFC 9113 section 5.1):
// after our RST_STREAM they were under way, and are ignored; after END_STREAM they are an error. A fixed number of places: by
// the streams' numbers for what ended in order, and others, which many requests do not overwrite, for what was reset. Pure;
// called by the session.

/** Not among the last ones, or never open. */
export const FORGOTTEN = 0;
/** Both sides said END_STREAM. */
export const ENDED = 1;
/** The peer sent RST_STREAM. */
export const RESET_BY_PEER = 2;
/** This side sent RST_STREAM. */
export const RESET = 3;
export type Ending = typeof FORGOTTEN | typeof ENDED | typeof RESET_BY_PEER | typeof RESET;

/** As many as are open at once by default: what was under way when a stream ended has come before they are used again. */
const PLACES = 128;
/** All that a client may have reset within seconds before it is told to be calm (H2.resets). */
const RESET_PLACES = 256;
const NONE = new Int32Array(0);

export class ClosedStreams {
  readonly #streams = new Int32Array(PLACES);
  readonly #endings = new Uint8Array(PLACES);
  #reset = NONE;
  #nextReset = 0;

  add(stream: number, ending: Ending): void {
    if (ending === RESET) return this.#addReset(stream);
    const place = (stream >>> 1) & (PLACES - 1);
    this.#streams[place] = stream;
    this.#endings[place] = ending;
  }

  #addReset(stream: number): void {
    if (this.#reset.length === 0) this.#reset = new Int32Array(RESET_PLACES);
    this.#reset[this.#nextReset++ % RESET_PLACES] = stream;
  }

  of(stream: number): Ending {
    if (this.#reset.includes(stream)) return RESET;
    const place = (stream >>> 1) & (PLACES - 1);
    return this.#streams[place] === stream ? (this.#endings[place] as Ending) : FORGOTTEN;
  }
}
