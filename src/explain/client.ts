// Whether the client is let in, asked of the listener's own entrance (l4/entrance.ts), and what its ALPN agrees on. Limits that
// depend on who else is connected are not looked at: they are told as they stand. Pure. Called by streams.ts and http.ts.

import { AddressSet } from "../l4/address-set.ts";
import type { Entrance } from "../l4/entrance.ts";
import type { TlsServerPlan } from "../shared/http-plan.ts";
import { parseIp } from "../shared/ip.ts";
import type { AccessPlan } from "../shared/plan.ts";
import type { Question } from "./question.ts";

/** A port as clients have them. */
export const CLIENT_PORT = 50_000;

/** 16 bytes. */
export const ipOf = ({ client }: Question): Uint8Array => parseIp(client)!;

/** @returns why the client is not let in; null: it is. */
export function refusalAtEntrance(
  entrance: Entrance | null,
  access: AccessPlan,
  question: Question,
): string | null {
  if (entrance === null) return null;
  const ip = ipOf(question);
  const refused =
    entrance.mode === null ? entrance.admit(ip, 0) : entrance.believe(headerOf(ip), null);
  if (refused === null) return null;
  const block = access.deny.find((each) => new AddressSet([each]).has(ip));
  return block === undefined
    ? `the client ${question.client} is not in allow (${access.allow.join(", ")})`
    : `the client ${question.client} is in deny (${block})`;
}

/** What is supposed of a listener whose clients are introduced. */
export function introductionNote(entrance: Entrance | null, { client }: Question): string[] {
  if (entrance === null || entrance.mode === null) return [];
  return [
    `a proxy in front, one of proxy_protocol.trusted, is supposed to name ${client} in its PROXY header`,
  ];
}

/** What is supposed of clients of a listener over TLS. */
export function clientNotes(tls: TlsServerPlan | null, tokenFile: string | null = null): string[] {
  const notes: string[] = [];
  if (tls?.clientAuth === "require") {
    notes.push(`the client is supposed to show a certificate of ${tls.clientCaFile}`);
  }
  if (tokenFile !== null) notes.push(`the client is supposed to show the token of ${tokenFile}`);
  return notes;
}

function headerOf(ip: Uint8Array): Parameters<Entrance["believe"]>[0] {
  const end = { kind: "ip", ip, port: CLIENT_PORT } as const;
  return {
    version: 2,
    command: "PROXY",
    endpoints: { source: end, destination: end },
    alpn: null,
    authority: null,
    uniqueId: null,
  };
}

/** null: nothing is agreed upon, and the handshake goes on; `refused`: it does not (RFC 7301 section 3.2). */
export type Agreement = { readonly alpn: string | null } | { readonly refused: string };

/**
 * @param served in order of preference; empty: the listener agrees on nothing.
 * @param must clients that offer nothing are refused, as over QUIC.
 */
export function agreementOf(
  served: readonly string[],
  { alpn: offered }: Question,
  must = false,
): Agreement {
  if (served.length === 0) return { alpn: null };
  if (offered === null) return { alpn: served[0]! };
  if (offered.length === 0 && !must) return { alpn: null };
  const alpn = served.find((protocol) => offered.includes(protocol));
  if (alpn !== undefined) return { alpn };
  const offer = offered.length === 0 ? "none" : offered.join(", ");
  return { refused: `it agrees on ${served.join(" or ")} (ALPN), and the client offers ${offer}` };
}
