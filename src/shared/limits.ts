// Every limit and default of the program in one table: the unit is in the name, the reason beside the value. The
// configuration's presets start from here; the data plane's own constants are here too, so that they can be reviewed together.

export * from "./auto-tls-limits.ts";
export * from "./overload-limits.ts";
export * from "./quiche-limits.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What a listener gets when neither the configuration nor a preset says otherwise. */
export const LISTENER_DEFAULTS = {
  maxConnections: 0, // no limit of our own: the descriptor limit bounds it, and it is reported as table_full
  connectMs: 5_000, // a target that needs longer is down for the person who waits
  clientHelloMs: 10_000, // a handshake over a bad mobile link, with a packet lost twice
  proxyHeaderMs: 5_000, // the proxy in front sends it with its first packet: a second or two of retransmission
  maxPerIp: 0, // no limit: whole companies come from one address
  acceptRate: 0, // no limit
  lifetimeMs: 0, // never: what a connection carries ends when it ends
  bytesPerSecond: 0, // no limit: the network has its own
  connectionBytesPerSecond: 0, // no limit
  idleMs: 0, // never, as nginx and haproxy must be told too; a database client may rest for a day
  nodelay: true, // a proxy must not hold back what the sender has sent
  quickack: false, // costs a packet for each message
  fastopen: false, // needs the system's consent, and repeats data when replayed
  keepaliveSeconds: 30, // finds dead peers within minutes; the interval that the pool uses too
  copyBytes: 64 * KIB, // BUFFER_SIZE_DEFAULT: past the largest TSO segment nothing is gained by a larger read
  highWatermarkBytes: 1 * MIB, // the largest pipe an unprivileged user may have (pipe-max-size)
  lowWatermarkBytes: 512 * KIB, // half of high, so that resuming is worth its system calls
} as const;

export const PROXY_DEFAULTS = {
  shutdownDelayMs: 0, // whoever has a balancer in front knows how long it takes to notice
  shutdownTimeoutMs: 30_000, // as long as Kubernetes waits before SIGKILL
  logLevel: "info",
  metricsPrefix: "proxy_", // one name for all there is to find in a list of metrics
} as const;

/** Buffers that a worker of the uring engine receives into, for all of its connections together. */
export const RING_DEFAULTS = {
  bufferBytes: 4 * KIB, // a page: most messages fit, and a small one wastes little
  buffers: 2_048, // 8 MiB, taken only as far as it is used
} as const;

/** What a UDP listener gets when neither the configuration nor a preset says otherwise. */
export const UDP_DEFAULTS = {
  maxConnections: 10_000, // sessions: a spoofed address costs nobody anything, a session of ours a descriptor and 5 KiB
  idleMs: 60_000, // twice what most NATs keep a UDP mapping for, and longer than any resolver waits
} as const;

/** What a listener that speaks TLS gets, on top of LISTENER_DEFAULTS. */
export const TLS_DEFAULTS = {
  handshakeMs: 10_000, // three round trips over a bad mobile link, with a packet lost twice; as long as client_hello
  minVersion: "1.2", // 1.0 and 1.1 are withdrawn (RFC 8996); what speaks no 1.2 is older than ten years
} as const;

/** What a listener that forwards requests gets, on top of LISTENER_DEFAULTS and, over TLS, TLS_DEFAULTS. */
export const HTTP_DEFAULTS = {
  headBytes: 64 * KIB, // as Envoy (60 KiB), twice nginx (32 KiB): the cookies and tokens of companies fit
  headFields: 128, // browsers send 20 to 30; Envoy takes 100, haproxy 101
  bodyBytes: 0, // no limit, as haproxy, Caddy and Envoy: a body passes through and is not kept; nginx's 1 MiB surprises
  streams: 128, // as nginx; RFC 9113 section 6.5.2 wants at least 100
  requestsPerConnection: 0, // no limit: nothing grows with their number
  minBytesPerSecond: 240, // as Kestrel: less than a modem of 1990 managed; who is slower holds a connection on purpose
  headMs: 10_000, // as haproxy's documentation advises: a head is one packet, or a few after a loss
  keepaliveMs: 75_000, // as nginx: longer than the 60 s of load balancers in front, which must be the ones to close
  responseMs: 60_000, // as nginx: reports and exports take half a minute; who waits longer has gone
  idleMs: 300_000, // as Envoy: WebSockets and event streams rest for minutes, and nginx's 60 s cuts them
  totalMs: 0, // never: a download takes what it takes, and idle and min_rate end what does not move
  backendKeepaliveMs: 60_000, // below the 75 s of nginx and the 120 s of others behind us: so we close first, mostly
  highWatermarkBytes: 16 * KIB, // of one connection: the read that passes it is added (see WIRE.sipBytes)
  lowWatermarkBytes: 8 * KIB,
  retryAttempts: 2, // of connects that fail, two further targets: a rolling restart takes down one or two at once
  redirectStatus: 308, // permanent, and keeps the method (RFC 9110 section 15.4.9)
} as const;

/** What an http3 listener gets, on top of HTTP_DEFAULTS. */
export const HTTP3_DEFAULTS = {
  altSvcMs: 86_400_000, // what RFC 7838 section 3.1 has clients take without ma: a day
} as const;

/** What a listener over QUIC gets, on top of LISTENER_DEFAULTS and TLS_DEFAULTS. */
export const QUIC_DEFAULTS = {
  alpn: ["quic-proxy"],
  keepAliveMs: 0, // never: clients know whether they mean to stay, and a client that is gone costs memory
  idleMs: 30_000, // as most stacks, and what many NATs keep a mapping of UDP for
  // Of one client, which may be a proxy for many, and then has QUIC.linkConnectionsMax connections. Each is a connection to a
  // target, and holds QUICHE.firstWindowBytes where the target reads nothing: 16 MiB of one client.
  streams: 256,
} as const;

/** Towards quic:// targets. */
export const QUIC_TARGET_DEFAULTS = {
  keepAliveMs: 5_000, // a target that vanished is noticed after three of them, and no NAT forgets the connection
  idleMs: 15_000, // for so long clients wait on a target that vanished without a word
} as const;

/** Bounds of what the configuration accepts, each with its reason. */
export const BOUNDS = {
  workersMax: 256, // one thread each, ten times the cores of most machines
  maxConnectionsMax: 1 << 20, // rows of the table of live connections
  clientsCountedMin: 1 << 15, // of max_per_ip, for reloads that raise max_connections: memory is taken as it is used
  copyBytesMin: 1 * KIB, // below this the system calls cost more than the bytes
  copyBytesMax: 16 * MIB,
  ringBufferMin: 512, // smaller ones cut ordinary messages into pieces
  ringBufferMax: 64 * KIB, // what is larger goes by splice
  ringMemoryMin: 64 * KIB,
  ringMemoryMax: 1024 * MIB,
  ringBuffersMin: 16, // with fewer, a single connection waits for buffers
  ringBuffersMax: 32_768, // the kernel's own limit (IORING_REGISTER_PBUF_RING)
  watermarkMin: 4 * KIB, // one page, the smallest pipe
  watermarkMax: 64 * MIB, // bounds what one stalled connection may hold
  socketBufferMin: 2 * KIB, // the kernel's own minimum (socket(7))
  socketBufferMax: 256 * MIB,
  timeoutMaxMs: 2 ** 31 - 1, // a 32-bit count of milliseconds: 24 days
  keepaliveMaxSeconds: 32_767, // MAX_TCP_KEEPIDLE in the kernel
  quicIdleMinMs: 1_000, // three probe timeouts over a slow path (RFC 9000 section 10.1)
  headBytesMin: 1 * KIB, // a browser's request without cookies
  headBytesMax: 1 * MIB, // Go's default, the largest of all; each connection may hold this much before it is refused
  headFieldsMin: 16, // fewer than any browser sends
  headFieldsMax: 4_096, // each is looked at
  streamsMax: 65_535, // as many backend connections at worst
  altSvcMaxMs: 365 * 86_400_000, // a year: a client that comes back later asks over TCP first
  retryAttemptsMax: 10, // more only prolong an outage
} as const;

/** The data plane's own constants. */
export const RELAY = {
  rowsMax: 1 << 20, // a million connections a worker; address space only, memory is taken row by row
  descriptorReserve: 64, // descriptors kept for listeners, pipes, logs and the runtime
  descriptorsOfWorker: 6, // besides: what a thread waits with and is woken by, and the sockets of two or three listeners
  acceptPauseMs: 100, // after EMFILE: long enough not to spin, short enough not to be noticed when one becomes free
  reportIntervalMs: 1_000, // at most one refusal line a second for each reason
  sweepMinMs: 20, // timeouts are kept to an eighth of their length, but no finer than this
  sweepMaxMs: 1_000, // one wake-up a second at most costs nothing when idle
  mirrorLingerMs: 3_000, // after the client's end, for what is queued and the mirror's own: ten round trips around the world
  listenBacklog: 4_096, // the kernel cuts it to net.core.somaxconn, 4096 since Linux 5.4
} as const;

/** What is read of a connection before its target is known. */
export const FIRST_BYTES = {
  lookMinMs: 1, // between two looks whether the rest of a PROXY header is there: of a local sender it is, by then
  lookMaxMs: 100, // looks become rarer while nothing comes: of a thousand clients that say nothing, ten in a millisecond
  proxyHeaderMaxBytes: 536, // fits the smallest segment that any host must take: senders keep to it, so it comes at once
  proxyUniqueIdMaxBytes: 128, // proxy-protocol.txt section 2.2.5
  // Browsers send 2 KiB with a post-quantum key share; the largest share proposed, FrodoKEM-1344, has 21 KiB by itself.
  clientHelloMaxBytes: 32 * KIB,
  // With record headers, for clients that cut their hello into small records.
  clientHelloWireMaxBytes: 64 * KIB,
} as const;

/** How much of a rate may be used at once after a rest. */
export const BURSTS = {
  acceptMs: 1_000, // "1000/s" admits a thousand clients that come together, and then a thousand a second
  bandwidthMs: 100, // keeps any second within 10 % of the rate, and outlasts a wake-up that is late
  bandwidthMinBytes: 1_460, // a full segment: less would make more packets and no more smoothness
  bandwidthTurnMs: 5, // of a listener's rate: what one of several connections may use before it is the next one's turn
  bandwidthNapMs: 25, // of a connection's rate: what it waits for; each sleeps for itself, so fewer wake-ups
  bandwidthChunkMs: 2, // of a listener's rate: what a worker takes at once, so that it takes the lock once for many messages
  bandwidthWaitMinMs: 1, // as fine as the engines wait
} as const;

/** Probes, for a listener that has `health`. */
export const HEALTH_DEFAULTS = {
  type: "tcp",
  path: "/",
  statuses: [200, 201, 202, 203, 204, 205, 206, 301, 302, 303, 307, 308], // what shows a server that works
  intervalMs: 5_000,
  timeoutMs: 1_000,
  rise: 2, // one success may be luck
  fall: 3, // one failure may be a lost packet
} as const;

/** Protocol udp. */
export const UDP = {
  loneTurns: 8, // that bring one datagram each, until the next ones are sent without waiting for the end of their turn
  hastyDatagrams: 32, // so many, and the next waits: what a load that begins may send one by one
  // A target that is not there says so by ICMP, of which systems send one a second; who hears none for longer was heard.
  silenceMs: 5_000,
  batchDatagrams: 64, // in one system call; more gained nothing
  // SO_RCVBUF of a listener, whose clients all arrive at one socket, if the system allows as much: its own holds 256 small ones.
  receiveBufferBytes: 4 * MIB,
  queueDatagrams: 256, // that wait for one socket whose send buffer is full: a fifth of a second of video at 12 Mbit/s
  queuesMaxBytes: 32 * MIB, // that wait in a worker, over all sockets
  refusalsMax: 3, // ICMP errors in a row, without an answer between them, that end a session: one may be a restart
  drainQuietMs: 1_000, // a session that rests for this long has no answer under way; UDP never says that it is done
  rescanMs: 10_000, // for addresses that the machine got; until then the wildcard's socket serves them
} as const;

/** Tokens that clients of quic listeners show. */
export const QUIC_TOKEN = {
  minBytes: 16, // of text that nobody guesses: 64 bits at the least, in hexadecimal
  maxBytes: 1 * KIB, // a signed token of another system fits; it must fit the first flight
} as const;

/** Wires, whatever is below. */
export const WIRE = {
  pendingMinBytes: 64 * KIB, // the first buffer for what a socket did not take: most stalls are shorter than that
  // Of a socket that was paused, at once: what a reader that stalls again costs. The runtime reads up to 512 KiB.
  sipBytes: 64 * KIB,
  sipsMax: 8, // then the runtime reads again, whose reads cost fewer calls: whoever took that much is not slow
  heldBytes: 64 * MIB, // in a worker, of what peers do not take: beyond, targets are read in sips; a hundred reads of the runtime
  sipMs: 1, // between two rounds of sips then: what a small answer waits at most
  endLookMs: 5, // between two looks whether a stalled socket has room for the end of a TLS stream: as long as a round trip
  poolMaxBytes: 16 * MIB, // of buffers that nobody uses, in a worker: thirty-two reads of the runtime that nobody took
} as const;

/** Sockets of the runtime that are read before it does (engine/bun/read-ahead.ts). */
export const READ_AHEAD = {
  batch: 128, // sockets that one system call tells to have bytes
  readBytes: 16 * KIB, // of one read: most messages; what is larger is bulk, for which the runtime reads 512 KiB at once
  batchBytes: 64 * KIB, // that are written meanwhile, and sent together
  gatheredMax: 32, // messages of these: few enough that peers have something to do, many enough that caches are warm
  eventsMax: 256, // before the runtime has its turn, for timers, new clients and TLS: two or three milliseconds
  skipsMax: 31, // events of the runtime in a row behind which it is not tried: a connection by itself pays a thirtieth of a call
} as const;

/** What stands between clients and backends of HTTP. */
export const HTTP_RELAY = {
  // Of a request's body: a client that makes what it sends, as git does, says nothing meanwhile; as long as nginx waits.
  bodyRestMs: 60_000,
  drainRestMs: 1_000, // that a connection which drains has rested, before it is closed: a request may be on its way on it
  unprocessedMax: 3, // of a request that backends say they have not processed: one is a race, four are a habit
  exchangesKept: 1_024, // objects of exchanges that are over, for the next ones: half a megabyte
} as const;

/** Connections to one backend, in each worker. */
export const HTTP_POOL = {
  connectionsMax: 16_384, // HTTP/1.1: one for each request at once; what a backend's port range allows a client
  multiplexedMax: 16, // HTTP/2: a hundred streams each are sixteen hundred requests at once
  idleMax: 512, // that rest: more than clients use at once most of the time, less than a backend's descriptors
  waitingMax: 4_096, // requests that wait for a connection: later ones would time out anyway
} as const;

/** What is made of a request's head on its way. */
export const HTTP_ROUTES = {
  authorityMaxBytes: 260, // a name of 253 characters with a dot and a port; each connection keeps copies of its last one
  requestIdMaxBytes: 128, // of a trusted proxy; twice what any that is known makes; it goes into logs and answers
} as const;

/** Lines about exchanges, on their way from a worker to a file. */
export const ACCESS_LOG = {
  batchBytes: 32 * KIB, // some hundred lines: a message between threads costs as much as ten of them
  flushMs: 100, // for whoever watches the log: at once
  textMax: 4_096, // of a path or another text of a client: what is longer is cut off, and may be as long as a head
  // Of lines that wait for the disk: half a second of 70,000 requests a second. What is beyond is dropped and counted.
  bufferMaxBytes: 16 * MIB,
  tellLostMs: 10_000, // while a disk is full every write loses lines: how often that is said
} as const;

/** HTTP/2, towards clients and backends (RFC 9113, RFC 7541). */
export const H2 = {
  headerTableBytes: 4 * KIB, // the RFC's default, a power of two times the overhead of an entry
  // Of a block in several frames, beyond limits.max_head: it is read to its end so that 431 can be answered and the next head be
  // understood.
  blockSpareBytes: 64 * KIB,
  continuations: 32, // of one block: frames of 4 KiB would fill it; whoever sends smaller ones has another purpose
  // How many times larger than its block a section may be, before it counts as an attack: repeated cookies come to ten.
  bombFactor: 16,
  headsKept: 256, // of requests that are over, for the next ones of a worker: two connections' worth of streams
  headKeptBytes: 16 * KIB, // of one such head; most have one or two
  frameBytes: 16 * KIB, // of DATA that we send, also where more is allowed: streams take turns, and a small answer waits for one
  // In one write: seven full frames of DATA and the heads around them. Answers of 1 MiB cost 26 % less CPU than with 64 KiB, 18 %
  // over TLS; 256 KiB gained 1 and 4 % more, and small answers noticed nothing.
  outputBytes: 128 * KIB,
  outputsKept: 32, // buffers of that size that a worker keeps for its next turns: 4 MiB
  // What a peer may send into a stream that nobody reads from. 64 KiB to 1 MiB cost the same CPU (1 MiB answers of a local
  // backend); this much lets an upload go at 100 Mbit/s over 20 ms, and a thousand stalled streams hold 256 MiB, as stalled
  // wires do.
  streamWindowBytes: 256 * KIB,
  connectionWindowBytes: 1024 * KIB, // of a client: what its stalled uploads may hold together
  backendWindowBytes: 128 * MIB, // of a backend: its streams are of many clients, none of which may hold up the others
  backendStreams: 256, // at once on one connection to a backend that allows more: beyond, another connection spreads the load
  settingsAckMs: 10_000, // a round trip and a retransmission or two, three times over
  drainPingMs: 1_000, // for the answer to the PING behind the first GOAWAY: what was under way has come by then
  lingerMs: 1_000, // for the peer to close after the last GOAWAY; a reset before could destroy it on the way
  idlePingMs: 15_000, // a backend that says nothing while requests wait is asked after this long whether it lives
  pingAckMs: 5_000, // and is gone if it has not answered within this: four round trips over any network, with losses
  rateWindowMs: 10_000, // over which limits.min_rate is measured
  stalledOutputBytes: 256 * KIB, // of answers without bodies that a client does not read: more of its requests are not read
  // What a peer may do at once, and what time gives back. Clients of good faith cancel a page's hundred pictures, ping every ten
  // seconds, and send a WINDOW_UPDATE or two for each frame of DATA.
  // One more of `resets` for each request that is answered, one more of `pings` for each frame of DATA that we sent.
  resets: { burst: 200, perSecond: 20 },
  pings: { burst: 60, perSecond: 10 },
  settings: { burst: 20, perSecond: 2 },
  emptyData: { burst: 100, perSecond: 20 },
  windowUpdates: { burst: 2_000, perSecond: 100 },
  windowUpdatesPerFrame: 4, // of DATA that we sent: one for the stream, one for the connection, and both by halves
  uselessFrames: { burst: 500, perSecond: 50 },
} as const;

/** QUIC (RFC 9000), whatever is spoken over it. */
export const QUIC = {
  reopenMinMs: 50, // a successor looks whether its predecessor has let go of the port: most have when nobody was connected
  reopenMaxMs: 1_000, // and goes on looking while that drains
  // Handshakes under way from which on clients have to prove their address first (Retry): a crowd after a restart has fewer.
  retryFrom: 1_000,
  windowStreams: 16, // of one connection's window, in windows of streams: so many may stall before the others of it do
  linkConnectionsMax: 16, // to one target, in a worker: sixteen times what it allows on one
  // A connection rests this long after its last stream before it is closed: what is on its way would be lost. Some round trips.
  lingerMs: 1_000,
  linkLookMs: 100, // whether a connection that nobody needs any more has a stream left
} as const;

/** The driver `bun` of QUIC. */
export const BUN_QUIC = {
  handshakeMaxMs: 16_000, // the runtime begins nothing with more: it counts microseconds in 24 bits
  writeBytes: 64 * KIB, // what the runtime holds of a stream before it says that it is full; the rest is pending
  // Of a connection, that wait for readers and are received all the same: two seconds at 250 Mbit/s. Then a stream is broken off.
  unreadMaxBytes: 64 * MIB,
  cutLookMs: 20, // until the runtime tells that a connection is gone whose streams are: two or three, measured
  sweepMs: 50, // between two looks at that: a gigabit brings 6 MiB in it
  datagramBytes: 1_200, // of one DATAGRAM frame, which fits any path (RFC 9000 section 14)
} as const;

/** HTTP/3, towards clients and backends (RFC 9114, RFC 9204). */
export const H3 = {
  joinMaxBytes: 16 * KIB, // a body's part up to this is copied behind its frame's header: one write
  outputKeptBytes: 64 * KIB, // of the buffer in which heads are put together: a larger one is for one head only
  controlFrameBytes: 4 * KIB, // of SETTINGS: some hundred of them; those that are known take thirty bytes
  backendStreams: 256, // at once on one connection to a backend that allows more: as many as over HTTP/2
  // What a backend may send into a stream that nobody reads from, as over HTTP/2; and into all of one connection, whose streams
  // are of many clients, none of which may hold up the others.
  streamWindowBytes: 256 * KIB,
  backendWindowBytes: 128 * MIB,
  peerUnidirectionalStreams: 8, // of a backend: control and two of QPACK, and some of types that nobody knows yet
  backendIdleMs: 15_000, // a backend that has said nothing for so long is gone, also one that a restart made forget us
  backendKeepAliveMs: 5_000, // two probes may be lost before that, and NATs keep what they know of the connection
  clientWindowBytes: 1024 * KIB, // of a client: what its stalled uploads may hold together, as over HTTP/2
  // A client that has said nothing for so long is gone. Those that rest are asked before, so that NATs, which forget UDP after
  // half a minute, keep the way to them for an answer that takes its time.
  clientIdleMs: 45_000,
  clientKeepAliveMs: 20_000,
  retryFrom: 256, // handshakes under way, from which on addresses are validated first: a tenth of a second's at full load
  drainMs: 1_000, // between the two GOAWAY: what was under way when the first was sent has come by then
  lingerMs: 1_000, // after the last answer, which may be on its way and need another try: a round trip or two
  rateWindowMs: 10_000, // over which limits.min_rate is measured
} as const;

/** Files of certificates, which change while the proxy runs. */
export const CERTIFICATES = {
  retryMs: 2_000, // when they do not fit each other: the other one may still be on its way
} as const;

/** Files that are watched for changes: certificates and the configuration. */
export const FILES = {
  pollMs: 5_000, // for file systems that tell of no change; a look costs some microseconds for each file
  settleMs: 200, // after the last change: a certificate and its key are seldom written at the same moment
} as const;

/** HTTP/1.1, towards clients and backends (RFC 9112). */
export const H1 = {
  methodMaxBytes: 64, // of a method or protocol: the longest registered one has 17
  nominatedMax: 16, // fields that one head's Connection takes away: nobody has a reason for more than two or three
  chunkLineMaxBytes: 256, // a size and its extensions, which nobody uses: a signature of a chunk, which some define, has 90
  chunkExtensionsMaxBytes: 16 * KIB, // of one body: so small chunks do not carry many times their size
  interimMax: 16, // answers of status 1xx before one answer: 103 comes once or twice
  outputBytes: 64 * KIB, // in which a head and the beginning of its body are put together: one write
  joinMaxBytes: 16 * KIB, // a body's part up to this is copied behind its head; a larger one costs more to copy than to write
  discardMaxBytes: 256 * KIB, // of a body that nobody wants any more, so that the connection can be used again
  lingerMs: 2_000, // after the last answer: a client reads it in a round trip or two, or never (RFC 9112 section 9.6)
  rateWindowMs: 10_000, // over which a minimum of bytes each second is kept: a mobile link may be away for some of them
  readersMax: 256, // of heads, kept for later, in a worker: more at once only for as long as they are needed
  readerMaxBytes: 8 * KIB, // one that had to hold a larger head is not kept
} as const;

/** The control plane's own constants. */
export const CONTROL = {
  resolveIntervalMs: 30_000, // getaddrinfo gives no TTL; what most resolvers hold at least
  addressesMax: 16, // of one name: more are not used; what a DNS answer of 512 bytes can hold
  resolveRetryMs: 2_000, // for a name that has never resolved: a container's neighbour that starts later
  reloadRetryMs: 1_000, // for a configuration that lacks something outside of its file: what is about to be there; doubled
  reloadRetryMaxMs: 60_000, // an operator who mended it waits no longer, and each attempt opens all that is new
  restartDelayMs: 100, // for a worker that crashed again soon after its restart, doubled each time
  restartDelayMaxMs: 10_000,
  restartCalmMs: 60_000, // a worker that lived this long starts over with no delay
  startTimeoutMs: 10_000, // a worker that is not ready by then never will be
  endTimeoutMs: 5_000, // a hundred thousand connections are reset within one; who asked for an end must not wait for ever
  upgradeTimeoutMs: 60_000, // for a new process until it serves: its workers, and a resolver that takes its time
  narrowMs: 1_000, // that a wildcard stays beside the narrower address that replaces it: handshakes that began at it end there
} as const;

/** The admin listener: probes, scrapes and a person at a time. */
export const ADMIN = {
  headMaxBytes: 16 * KIB, // a browser's cookies for localhost, of every program that was ever tried there
  bodyMaxBytes: 64 * KIB, // requests have a few keys
  headMs: 5_000, // it comes with the first packet
  requestMs: 10_000, // with its body
  keepAliveMs: 75_000, // longer than the minute that Prometheus lies between two scrapes by default
  answerMs: 30_000, // until it is read: 10 MiB at 3 Mbit/s
  connectionsMax: 64, // some probes, scrapers and open pages
  idleMax: 32, // of these, kept for another request: beyond, the one that is idle longest goes
  pipelinedMax: 8, // requests at once on a connection: nobody who asks here does not wait for answers
  choicesMax: 50, // names of targets that an answer tells to whoever asked for another one
  eventsMax: 200, // lines of the log that are kept: some screenfuls
  eventMaxBytes: 2 * KIB, // of one: what is longer is cut
  reloadsMax: 20, // that are remembered: those of a day's work
  streamsMax: 16, // of the connections: pages that are left open keep no probe from being answered
  streamMs: 1_000, // between two snapshots: what a person can follow
  streamStallMs: 5_000, // until a snapshot is read; whoever takes longer sees nothing that is still true
  streamConnections: 200, // in a snapshot: more than a screen has
  lingerMs: 1_000, // of connections to an address that was left: for answers that are on their way
  aliveMs: 2_000, // for workers to answer; a probe of Kubernetes waits 1 s by default, and must not get its answer for nothing
  retryMs: 100, // between attempts to listen where the process before this one still does
} as const;

/** Of targets: enough for shares of a thousandth. */
export const TARGET_WEIGHT_MAX = 1_000;

/** What `proxy capture` holds and shows. */
export const CAPTURE = {
  segmentMaxBytes: 65_495, // the most that fits an IPv4 packet with its header and TCP's
  bufferMaxBytes: 1 * MIB, // bytes that wait to be written; beyond, the relay pauses
  shownBytes: 4 * KIB, // of a chunk on a terminal: a head of HTTP, and not a screenful of a download
} as const;

/** Compression of answers. Levels by measurement: see `src/protocols/http/filter/compress/encoders.ts`. */
export const COMPRESSION = {
  bodyMinBytes: 1 * KIB, // below, an answer is one packet either way, and the fields that tell of it cost what is saved
  gzipLevel: 5, // 2 % larger than level 6 for two thirds of its time
  brotliQuality: 4, // the first that looks for matches as gzip does; 5 takes half as long again
  brotliWindowBits: 16, // no answer of 64 KiB became larger than with 18, which takes four times the memory
  zstdLevel: 1, // as small as gzip on average (JSON 5 % smaller, scripts 16 % larger) for a third of its time
  zstdWindowBits: 18, // with 21, its default for higher levels, a long answer holds 3.3 MiB
  sliceBytes: 32 * KIB, // of output at once: one buffer for all answers of a worker
  openMax: 128, // answers at once in one worker, of up to 0.9 MiB each (brotli); those beyond are not compressed
  idleMax: 8, // gzip encoders that wait for the next answer: to make one costs as much as 5 KiB of answer
} as const;

/** gRPC-Web. */
export const GRPC_WEB = {
  sliceBytes: 24 * KIB, // translated at once: 32 KiB of Base64, one buffer for all requests of a worker
  preflightMaxAgeSeconds: 600, // an origin that is not allowed any more is turned away ten minutes later at most
} as const;
