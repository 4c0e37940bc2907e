// The limits of the QUIC driver quiche (RFC 9000): the part of limits.ts that is about it, written as there.

const KIB = 1024;
const MIB = 1024 * KIB;

/** The driver quiche of QUIC (RFC 9000). */
export const QUICHE = {
  payloadBytes: 1_350, // of a datagram: what passes nearly every tunnel on the way, as Chromium and quiche send
  localPayloadBytes: 16 * KIB, // over the loopback interface, whose MTU is 64 KiB: larger ones gained nothing
  cidsMax: 4, // ids that a peer may call us by at once: two paths, and a spare one for each
  retryTokenMs: 10_000, // for a client to come back with its token: three round trips, and a packet lost twice
  arrivalsMax: 1_024, // clients whose hello has not come whole, each up to arrivalDatagrams and arrivalBytes
  arrivalDatagrams: 6, // of one hello: a post-quantum key share takes two, the largest share proposed would need more
  arrivalBytes: 16 * KIB, // of one hello's datagrams: ten of Ethernet's; over a network with larger ones, 16 MiB of all at most
  helloPartsMax: 64, // of a hello, apart from each other at once: clients that shuffle it on purpose make some twenty
  arrivalMs: 3_000, // for the rest of a hello: three retransmissions of a client (RFC 9002 section 6.2.2)
  answersPerSecond: 1_000, // of stateless resets and version negotiations each: who floods with nonsense gets no echo
  datagramsQueued: 256, // DATAGRAM frames each way of a connection: as UDP.queueDatagrams
  flushPackets: 64, // of one connection before it is the next one's turn: a send buffer's worth
  movedRestMs: 500, // after a peer's port changed, in which packets of the old one do not change it back
  firstTurns: 8, // of a connection, in each of which ids and sessions are looked for: they come right after the handshake
  turnsBetween: 32, // and then between two looks: a client that moves uses up one id
  endRoomBytes: 1_350, // of the congestion window, for a packet with a FIN alone: in a rest of it, quiche may write none
  endsKept: 64, // packets with the end of a stream alone, of one connection, kept until they can be taken for arrived
  endBytes: 512, // of one: a FIN and acknowledgements; one that is longer has bytes of a stream, and is quiche's to repeat
  farewells: 4, // packets of a connection that was closed: one tells of it
  stopScanMs: 20, // between two looks whether a peer stopped a stream that we have nothing to send on
  gatheredTries: 4, // places at which the size of gathered datagrams is looked for: an id that comes again by chance is rare
  gatheredPeers: 8, // connections of one sender whose packets may take turns there
  slabBytes: 64 * KIB, // what is read of streams is handed over in parts of one such piece of memory
  slabRestBytes: 8 * KIB, // of it, with less than which a new one is begun
  firstWindowBytes: 64 * KIB, // of a stream, at least: quiche doubles it with each round trip in which all of it is read
  // What a connection's packets may bring that is nothing we asked for, beyond its windows and an eighth of what it delivered:
  // repeated packets of a bad network are less, and whoever sends frames to fill our memory is cut off.
  surplusBytes: 4 * MIB,
  surplusShare: 1 / 8,
  surplusStepBytes: 1 * MIB, // between two looks at it
  packetOverheadBytes: 64, // of a packet, that carry no stream: header, tag, acknowledgements
} as const;
