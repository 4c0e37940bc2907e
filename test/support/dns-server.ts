// An authoritative DNS server for tests, with an encoder of its own, that can misbehave in every way that servers do: silent,
// slow, lame, truncating, lying about who answers. It also plays the resolver that knows all zones of a test. What it answers
// is compared with what dig reads, in its own test.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, isIPv6, type Server, type Socket as TcpSocket } from "node:net";

export const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28 } as const;
export type TestType = keyof typeof TYPES;
export const RCODES = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;
export type TestRcode = keyof typeof RCODES;

export interface TestRecord {
  readonly name: string;
  readonly type: TestType;
  readonly data: string;
}

/** One zone as one server has it. */
export class TestZone {
  readonly origin: string;
  readonly records: TestRecord[] = [];

  constructor(origin: string, nameServers: readonly string[]) {
    this.origin = origin;
    this.add(origin, "SOA", nameServers[0] ?? `ns.${origin}`);
    for (const server of nameServers) this.add(origin, "NS", server);
  }

  add(name: string, type: TestType, data: string): void {
    this.records.push({ name: name.toLowerCase(), type, data });
  }

  remove(name: string, type: TestType, data?: string): void {
    const goes = (record: TestRecord): boolean =>
      record.name === name && record.type === type && (data ?? record.data) === record.data;
    this.records.splice(0, Infinity, ...this.records.filter((record) => !goes(record)));
  }

  values(name: string, type: TestType): string[] {
    return this.#at(name).flatMap((record) => (record.type === type ? [record.data] : []));
  }

  #at(name: string): TestRecord[] {
    return this.records.filter((record) => record.name === name);
  }

  /** With wildcards (RFC 4592): the records of the name, whose owner is the name then; null: there is no such name. */
  lookup(name: string): TestRecord[] | null {
    const exact = this.#at(name);
    if (exact.length > 0) return exact;
    if (this.records.some((record) => record.name.endsWith(`.${name}`))) return [];
    for (let at = parentOf(name); isIn(at, this.origin) && at !== ""; at = parentOf(at)) {
      const wild = this.#at(`*.${at}`);
      if (wild.length > 0) return wild.map((record) => ({ ...record, name }));
      if (this.records.some((record) => isIn(record.name, at))) return null;
    }
    return null;
  }

  /** The zone below that this one delegates the name to; null: none. */
  delegation(name: string): TestRecord[] | null {
    for (let at = name; at !== this.origin && at !== ""; at = parentOf(at)) {
      const found = this.#at(at).filter(({ type }) => type === "NS");
      if (found.length > 0) return found;
    }
    return null;
  }
}

function parentOf(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}

function isIn(name: string, zone: string): boolean {
  return zone === "" || name === zone || name.endsWith(`.${zone}`);
}

export interface Behaviour {
  /** Nothing is answered, at all or over TCP. */
  silent: boolean | "tcp";
  /** Answered with this and nothing else. */
  rcode: TestRcode | null;
  /** Answers are not authoritative, and without records. */
  lame: boolean;
  /** Over UDP, answers do not fit. */
  truncates: boolean;
  /** With FORMERR to whoever sends EDNS0. */
  refusesEdns: boolean;
  /** These come before the answer: to another id, to another question, and what is no message. */
  forges: boolean;
  /** Answers wait for it. */
  gate: Promise<void> | null;
}

export interface TestQuery {
  readonly name: string;
  readonly type: number;
  readonly recursive: boolean;
  readonly over: "udp" | "tcp";
}

export class TestDnsServer implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly zones: TestZone[] = [];
  readonly queries: TestQuery[] = [];
  readonly behaviour: Behaviour = {
    silent: false,
    rcode: null,
    lame: false,
    truncates: false,
    refusesEdns: false,
    forges: false,
    gate: null,
  };
  /** Resolvers follow CNAME records from zone to zone, and are authoritative for none. */
  isResolver = false;
  /** As some resolvers of home routers do. */
  hidesAuthority = false;
  /** Called before each answer is looked up: for zones that follow something else. */
  refresh: () => void = () => {};
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #open = new Set<TcpSocket>();

  private constructor(host: string, port: number, udp: Socket, tcp: Server) {
    this.host = host;
    this.port = port;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, from) => void this.#overUdp(bytes, from));
    udp.on("error", () => {}); // ICMP errors of clients that are gone
    tcp.on("connection", (socket) => this.#overTcp(socket));
  }

  /** @throws the system's error if the port is taken. */
  static async start(host: string, port: number): Promise<TestDnsServer> {
    const udp = createSocket(isIPv6(host) ? "udp6" : "udp4");
    const tcp = createServer();
    const bound = Promise.withResolvers<void>();
    udp.once("error", bound.reject);
    udp.bind({ port, address: host, exclusive: true }, bound.resolve);
    await bound.promise;
    udp.removeAllListeners("error");
    const listening = Promise.withResolvers<void>();
    tcp.once("error", listening.reject);
    tcp.listen({ port: udp.address().port, host, exclusive: true }, listening.resolve);
    try {
      await listening.promise;
    } catch (error) {
      udp.close();
      throw error;
    }
    return new TestDnsServer(host, udp.address().port, udp, tcp);
  }

  /** Questions of this type for this name, so far. */
  asked(name: string, type: TestType): TestQuery[] {
    return this.queries.filter((query) => query.name === name && query.type === TYPES[type]);
  }

  async #overUdp(bytes: Uint8Array, { address, port }: RemoteInfo): Promise<void> {
    const send = (answer: Uint8Array): void => this.#udp.send(answer, port, address);
    const answer = await this.#answer(bytes, "udp");
    if (answer === null) return;
    if (this.behaviour.forges) {
      send(changed(answer, 1, answer[1]! ^ 1));
      send(changed(answer, 13, answer[13]! ^ 1)); // another name
      send(changed(answer, 2, answer[2]! & 0x7f)); // no response
      send(new Uint8Array([0xff, 0xff]));
    }
    send(answer);
  }

  #overTcp(socket: TcpSocket): void {
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    socket.on("error", () => {}); // clients that are gone
    let received = Buffer.alloc(0);
    socket.on("data", (part) => {
      received = Buffer.concat([received, part as Uint8Array]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return;
      void this.#sendOver(socket, received.subarray(2));
    });
  }

  /** In two pieces, the first of which ends in the length. */
  async #sendOver(socket: TcpSocket, query: Uint8Array): Promise<void> {
    const answer = await this.#answer(query, "tcp");
    if (answer === null) return;
    const prefix = new Uint8Array([answer.length >> 8, answer.length & 0xff]);
    socket.write(prefix.subarray(0, 1));
    socket.write(Buffer.concat([prefix.subarray(1), answer]));
  }

  async #answer(bytes: Uint8Array, over: "udp" | "tcp"): Promise<Uint8Array | null> {
    const query = decodeQuery(bytes);
    this.queries.push({ ...query, over });
    const { silent, gate, rcode, lame, truncates, refusesEdns } = this.behaviour;
    await gate;
    if (silent === true || silent === over) return null;
    const reply = new ReplyWriter(query);
    if (refusesEdns && query.edns) return reply.bytes({ rcode: "FORMERR" });
    if (rcode !== null) return reply.bytes({ rcode });
    if (lame) return reply.bytes({});
    if (truncates && over === "udp") return reply.bytes({ truncated: true });
    this.refresh();
    const answer = this.#lookup(query.name, query.type);
    return reply.bytes(this.hidesAuthority ? { ...answer, authority: [] } : answer);
  }

  #lookup(asked: string, type: number): Answer {
    const answers: TestRecord[] = [];
    for (let name = asked, turns = 0; turns < 16; turns++) {
      const zone = this.zones
        .filter(({ origin }) => isIn(name, origin))
        .toSorted((a, b) => b.origin.length - a.origin.length)[0];
      const isOurs = !this.isResolver;
      if (zone === undefined && turns === 0) return { rcode: "REFUSED" };
      if (zone === undefined) return { answers, authoritative: isOurs }; // where the CNAME leads is another's
      const referral = this.isResolver ? null : zone.delegation(name);
      if (referral !== null) return { authority: referral, answers };
      const found = zone.lookup(name);
      const negative = { answers, authority: zone.records.slice(0, 1), authoritative: isOurs };
      if (found === null) return { ...negative, rcode: "NXDOMAIN" };
      const wanted = found.filter((record) => TYPES[record.type] === type);
      const alias = found.find((record) => record.type === "CNAME");
      if (wanted.length > 0) {
        return { answers: [...answers, ...wanted], authoritative: isOurs };
      }
      if (alias === undefined) return negative;
      answers.push(alias);
      name = alias.data;
    }
    return { rcode: "SERVFAIL" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    const closed = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    this.#udp.close(closed[0].resolve);
    this.#tcp.close(() => closed[1].resolve());
    await Promise.all(closed.map(({ promise }) => promise));
  }
}

function changed(bytes: Uint8Array, at: number, to: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = to;
  return copy;
}

interface DecodedQuery {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly recursive: boolean;
  readonly edns: boolean;
  /** As it came. */
  readonly question: Uint8Array;
}

function decodeQuery(bytes: Uint8Array): DecodedQuery {
  const view = Buffer.from(bytes);
  const labels: string[] = [];
  let at = 12;
  for (let length = view[at]!; length > 0; length = view[at]!) {
    labels.push(view.subarray(at + 1, at + 1 + length).toString());
    at += 1 + length;
  }
  return {
    id: view.readUInt16BE(0),
    name: labels.join(".").toLowerCase(),
    type: view.readUInt16BE(at + 1),
    recursive: (view[2]! & 1) !== 0,
    edns: view.readUInt16BE(10) > 0,
    question: view.subarray(12, at + 5),
  };
}

interface Answer {
  readonly rcode?: TestRcode;
  readonly authoritative?: boolean;
  readonly truncated?: boolean;
  readonly answers?: readonly TestRecord[];
  readonly authority?: readonly TestRecord[];
}

class ReplyWriter {
  readonly #query: DecodedQuery;

  constructor(query: DecodedQuery) {
    this.#query = query;
  }

  bytes({
    rcode = "NOERROR",
    authoritative,
    truncated,
    answers = [],
    authority = [],
  }: Answer): Uint8Array {
    const { id, question, recursive } = this.#query;
    const flags =
      0x8000 | (authoritative ? 0x0400 : 0) | (truncated ? 0x0200 : 0) | (recursive ? 0x0180 : 0);
    const header = numbers(id, flags | RCODES[rcode], 1, answers.length, authority.length, 0);
    const records = [...answers, ...authority].map(encodeRecord);
    return Buffer.concat([header, question, ...records]);
  }
}

function numbers(...values: number[]): Uint8Array {
  return new Uint8Array(values.flatMap((value) => [value >> 8, value & 0xff]));
}

export function encodeTestName(name: string): Uint8Array {
  const labels = name === "" ? [] : name.split(".");
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([new Uint8Array([label.length]), Buffer.from(label)])),
    new Uint8Array(1),
  ]);
}

function encodeRecord({ name, type, data }: TestRecord): Uint8Array {
  const encoded = encodeData(type, data);
  return Buffer.concat([
    encodeTestName(name),
    numbers(TYPES[type], 1, 0, 60, encoded.length),
    encoded,
  ]);
}

function encodeData(type: TestType, data: string): Uint8Array {
  switch (type) {
    case "A":
      return new Uint8Array(data.split(".").map(Number));
    case "AAAA": {
      const [head = "", tail = ""] = data.split("::");
      const groups = (text: string): number[] =>
        text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
      const [front, back] = [groups(head), groups(tail)];
      return numbers(
        ...front,
        ...new Array<number>(8 - front.length - back.length).fill(0),
        ...back,
      );
    }
    case "SOA":
      return Buffer.concat([
        encodeTestName(data),
        encodeTestName("hostmaster.invalid"),
        numbers(0, 1, 0, 3600, 0, 600, 0, 3600, 0, 60),
      ]);
    case "TXT": {
      const bytes = Buffer.from(data);
      const parts: Uint8Array[] = [];
      for (let at = 0; at === 0 || at < bytes.length; at += 255) {
        const part = bytes.subarray(at, at + 255);
        parts.push(new Uint8Array([part.length]), part);
      }
      return Buffer.concat(parts);
    }
    case "NS":
    case "CNAME":
      return encodeTestName(data);
    default:
      return type satisfies never;
  }
}
