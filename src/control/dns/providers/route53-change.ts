// A change of one name's TXT records, as Route 53 takes it: all values of a name are one record set, with one TTL. Pure. Called
// by route53.ts.
//
// Invariant: a change says what was there before, since it deletes the set that was read and creates the new one in one batch,
// which Route 53 carries out as a whole or, if somebody changed the set in between, not at all. No value of others is lost, not
// even of a process on another machine, as would be with UPSERT.

import { elements, escaped, textIn } from "./xml.ts";
import { plainName, quoted } from "./zones.ts";

const NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/";

export interface RecordSet {
  readonly ttl: number;
  /** As Route 53 writes them, with quotes: a change has to name them exactly so. */
  readonly values: readonly string[];
  /** Why it cannot be changed; null: it can. */
  readonly obstacle: string | null;
}

/** @returns null: the name has no TXT records. `xml` is an answer that begins at the name, or behind it. */
export function readRecordSet(xml: string, name: string): RecordSet | null {
  const set = elements(xml, "ResourceRecordSet").find(
    (each) => plainName(textIn(each, "Name")) === name && textIn(each, "Type") === "TXT",
  );
  if (set === undefined) return null;
  const isAlias = elements(set, "AliasTarget").length > 0;
  const hasPolicy = elements(set, "SetIdentifier").length > 0;
  return {
    ttl: Number(textIn(set, "TTL")),
    values: elements(set, "ResourceRecord").map((record) => textIn(record, "Value")),
    obstacle: isAlias ? "is an alias" : hasPolicy ? "has a routing policy" : null,
  };
}

/** @returns null: the value is there already. */
export function withValue(set: RecordSet | null, value: string, ttl: number): RecordSet | null {
  if (set === null) return { ttl, values: [quoted(value)], obstacle: null };
  if (set.values.includes(quoted(value))) return null;
  return { ...set, values: [...set.values, quoted(value)] };
}

/** @returns null: the value is not there. */
export function withoutValue(set: RecordSet | null, value: string): RecordSet | null {
  if (set === null || !set.values.includes(quoted(value))) return null;
  return { ...set, values: set.values.filter((each) => each !== quoted(value)) };
}

/** The body of ChangeResourceRecordSets. @param after a set without values is none. */
export function changeBatch(name: string, before: RecordSet | null, after: RecordSet): string {
  const changes = [
    ...(before === null ? [] : [changeOf("DELETE", name, before)]),
    ...(after.values.length === 0 ? [] : [changeOf("CREATE", name, after)]),
  ];
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<ChangeResourceRecordSetsRequest xmlns="${NAMESPACE}"><ChangeBatch><Changes>`,
    ...changes,
    `</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`,
  ].join("");
}

function changeOf(action: "CREATE" | "DELETE", name: string, { ttl, values }: RecordSet): string {
  const records = values
    .map((value) => `<ResourceRecord><Value>${escaped(value)}</Value></ResourceRecord>`)
    .join("");
  return [
    `<Change><Action>${action}</Action><ResourceRecordSet>`,
    `<Name>${escaped(name)}.</Name><Type>TXT</Type><TTL>${ttl}</TTL>`,
    `<ResourceRecords>${records}</ResourceRecords></ResourceRecordSet></Change>`,
  ].join("");
}
