// Error codes of the application (RFC 9000 section 20.2) on connections that carry streams, and the words that go with them.
// They are this program's own: other peers may say anything. Called by listeners and links.

export const QUIC_CODES = {
  none: 0, // the connection is not needed any more
  unauthorized: 1, // no token, or another one
  draining: 2, // of a stream: no new ones are taken, since the listener shuts down
  unavailable: 3, // of a stream: there is no room for it
} as const;

/**
 * On a unidirectional stream of the server, with the protocol that is this program's own: streams that come later than
 * QUIC.lingerMs are aborted as `draining`. QUIC itself has no word for that, as HTTP has GOAWAY.
 */
export const LEAVING = new Uint8Array([2]);
