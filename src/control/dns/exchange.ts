// One question to one DNS server: over UDP, again if nothing comes, over TCP if the answer did not fit (RFC 7766), without EDNS0
// if the server does not know it. The runtime's own resolver cannot do this: it always asks for recursion, and keeps to itself
// what an answer's header and its authority section say, which tell a server that has the zone from one that has not.
//
// Invariant: what is not the answer to this question, by its sender, its id and its question, is not listened to.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";

import { formatSocketAddress } from "../../shared/address.ts";
import { errnoOf, messageOf } from "../../shared/errors.ts";
import { DNS } from "../../shared/limits.ts";
import { decodeMessage, type DnsMessage, encodeQuery, type Question } from "./message.ts";
import { normalName } from "./names.ts";

export interface DnsServer {
  /** Numeric. */
  readonly host: string;
  readonly port: number;
}

/** `192.0.2.1`, with its port if that is not DNS's own. */
export function formatServer({ host, port }: DnsServer): string {
  return port === DNS.port ? host : formatSocketAddress({ kind: "ip", host, port });
}

export type Reply =
  | { readonly kind: "message"; readonly message: DnsMessage }
  /** `unreachable`: this machine has no way to such an address; it says nothing about the server. */
  | { readonly kind: "silent" | "unreachable"; readonly reason: string };

export interface AskOptions {
  /** Whether the server is to ask others: true for resolvers, false for servers of a zone. */
  readonly recursive: boolean;
  /** Default: DNS.tries. */
  readonly tries?: number;
  /** For one try. Default: DNS.tryMs. */
  readonly timeoutMs?: number;
}

/** Rejects with the signal's reason, and with nothing else. */
export async function ask(
  server: DnsServer,
  question: Question,
  options: AskOptions,
  signal: AbortSignal,
): Promise<Reply> {
  const { recursive, tries = DNS.tries, timeoutMs = DNS.tryMs } = options;
  let payloadBytes: number | null = DNS.payloadBytes;
  let reply: Reply = { kind: "silent", reason: "it was not asked" };
  for (let attempt = 0; attempt < tries; attempt++) {
    signal.throwIfAborted();
    const query = makeQuery(question, recursive, payloadBytes);
    if (query === null) return { kind: "silent", reason: `"${question.name}" is no name` };
    reply = await overUdp(server, query, timeoutMs, signal);
    if (reply.kind === "message" && reply.message.truncated) {
      reply = await overTcp(server, query, timeoutMs, signal);
    }
    const isOld = reply.kind === "message" && refusesEdns(reply.message);
    if (isOld && payloadBytes !== null) {
      payloadBytes = null; // does not count as a try: it comes once
      attempt--;
    } else if (reply.kind !== "silent") return reply;
  }
  return reply;
}

/** RFC 6891 section 7, and what servers from before it say. */
function refusesEdns({ rcode }: DnsMessage): boolean {
  return rcode === "FORMERR" || rcode === "NOTIMP" || rcode === "BADVERS";
}

interface Query {
  readonly id: number;
  readonly question: Question;
  readonly bytes: Uint8Array;
}

function makeQuery(
  question: Question,
  recursive: boolean,
  payloadBytes: number | null,
): Query | null {
  const id = randomInt(0x10000);
  const bytes = encodeQuery(question, { id, recursive, payloadBytes });
  return bytes === null ? null : { id, question, bytes };
}

/** @returns null if it answers another question, or is no message at all. */
function answerTo({ id, question }: Query, bytes: Uint8Array): DnsMessage | null {
  const message = decodeMessage(bytes);
  if (message === null || message.id !== id || !message.isResponse) return null;
  const asked = message.question;
  // A server that could not read the question may leave it out (RFC 1035 section 4.1.1 wants only the id).
  if (asked === null) return message.rcode === "FORMERR" ? message : null;
  const isSame = asked.type === question.type && asked.name === normalName(question.name);
  return isSame ? message : null;
}

/** What is waited for: the first `settle` counts, the time, or the signal; then `close` is called. */
function waitFor(
  timeoutMs: number,
  signal: AbortSignal,
  begin: (settle: (reply: Reply) => void) => void,
  close: () => void,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      close();
    };
    const settle = (reply: Reply): void => {
      end();
      resolve(reply);
    };
    const aborted = (): void => {
      end();
      reject(signal.reason as Error);
    };
    const timer = setTimeout(
      () => settle({ kind: "silent", reason: `no answer within ${timeoutMs} ms` }),
      timeoutMs,
    );
    signal.addEventListener("abort", aborted);
    begin(settle);
  });
}

/** The kernel hands a connected socket only what comes from the server's address and port. */
function overUdp(
  server: DnsServer,
  query: Query,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Reply> {
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  const begin = (settle: (reply: Reply) => void): void => {
    // The runtime does not say why connect(2) failed; of UDP, only this machine can be the reason, which has no route.
    let connected = false;
    const failed = (error: unknown): void =>
      settle(
        connected
          ? failureOf(error)
          : { kind: "unreachable", reason: "this machine has no route to it" },
      );
    socket.on("error", failed);
    socket.on("message", (bytes) => {
      const message = answerTo(query, bytes);
      if (message !== null) settle({ kind: "message", message });
    });
    socket.once("connect", () => {
      connected = true;
      socket.send(query.bytes, (error) => {
        if (error) failed(error);
      });
    });
    try {
      socket.connect(server.port, server.host);
    } catch (error) {
      failed(error);
    }
  };
  return waitFor(timeoutMs, signal, begin, () => {
    socket.removeAllListeners();
    socket.on("error", ignore);
    try {
      socket.close();
    } catch {
      return; // an error has closed it already
    }
  });
}

/** What a socket that is done with still tells. */
function ignore(): void {}

function overTcp(
  server: DnsServer,
  query: Query,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Reply> {
  const socket = connect({ host: server.host, port: server.port });
  const begin = (settle: (reply: Reply) => void): void => {
    let received: Buffer = Buffer.alloc(0);
    socket.on("error", (error) => settle(failureOf(error)));
    socket.once("connect", () => {
      const length = new Uint8Array([query.bytes.length >> 8, query.bytes.length & 0xff]);
      socket.write(Buffer.concat([length, query.bytes]));
    });
    socket.on("data", (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return;
      const message = answerTo(query, received.subarray(2, 2 + received.readUInt16BE()));
      if (message === null) settle({ kind: "silent", reason: "its answer over TCP is none" });
      else settle({ kind: "message", message });
    });
    socket.on("close", () => settle({ kind: "silent", reason: "it closed the TCP connection" }));
  };
  return waitFor(timeoutMs, signal, begin, () => {
    socket.removeAllListeners();
    socket.on("error", ignore);
    socket.destroy();
  });
}

/** What the network says about packets that were sent (udp(7)). */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "it reset the connection",
  EHOSTUNREACH: "its network does not reach it",
  ENETUNREACH: "its network is not reached",
};

function failureOf(error: unknown): Reply {
  const errno = errnoOf(error);
  const reason = WORDS[errno] ?? (errno === "OTHER" ? messageOf(error) : errno);
  return { kind: "silent", reason };
}
