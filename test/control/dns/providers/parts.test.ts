// The small parts that providers are made of: names and zones, turns, XML, profiles, and the field Retry-After.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { retryAfterOf } from "../../../../src/control/dns/providers/api.ts";
import { readAwsProfile } from "../../../../src/control/dns/providers/aws-profile.ts";
import { inTurn } from "../../../../src/control/dns/providers/turns.ts";
import { elements, escaped, textIn, unescaped } from "../../../../src/control/dns/providers/xml.ts";
import { relativeName, unquoted, zonesOf } from "../../../../src/control/dns/providers/zones.ts";

describe("names", () => {
  test("could be in zones from themselves up to two labels", () => {
    expect(zonesOf("_acme-challenge.a.example.com")).toEqual([
      "_acme-challenge.a.example.com",
      "a.example.com",
      "example.com",
    ]);
    expect(zonesOf("example.com")).toEqual(["example.com"]);
    expect(zonesOf("localhost")).toEqual(["localhost"]);
  });

  test("are relative to their zone, which is @ itself", () => {
    expect(relativeName("_acme-challenge.a.example.com", "example.com")).toBe("_acme-challenge.a");
    expect(relativeName("example.com", "example.com")).toBe("@");
  });

  test("have values with quotes and without", () => {
    expect(['"abc"', "abc", '"', '""', 'a"b'].map(unquoted)).toEqual([
      "abc",
      "abc",
      '"',
      "",
      'a"b',
    ]);
  });
});

describe("turns", () => {
  test("of one key come one after another, also after one that failed, and of others at once", async () => {
    const steps: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = inTurn("a", async () => {
      await gate.promise;
      steps.push("first");
      throw new RangeError("failed");
    });
    const second = inTurn("a", async () => steps.push("second"));
    await inTurn("b", async () => steps.push("other"));
    gate.resolve();
    expect(await first.catch((error: unknown) => error)).toBeInstanceOf(RangeError);
    await second;
    expect(steps).toEqual(["other", "first", "second"]);
    expect(await inTurn("a", async () => 5)).toBe(5);
  });
});

describe("XML", () => {
  test("elements are found in order, and those that do not end are not there", () => {
    const xml = "<A><B>1</B><BB>x</BB><B>2</B></A><B>3";
    expect(elements(xml, "B")).toEqual(["1", "2"]);
    expect(textIn(xml, "C")).toBe("");
    expect(textIn("<A>\n a &lt;&#34;&#x41;&amp;lt; &unknown; &#9999999;</A>", "A")).toBe(
      'a <"A&lt; &unknown; &#9999999;',
    );
  });

  test("text that was escaped is the same text again", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(escaped(text)).not.toMatch(/[<>"']/);
        expect(unescaped(escaped(text))).toBe(text);
      }),
    );
  });

  test("entities that a document declares are nothing", () => {
    const xml = '<!DOCTYPE a [<!ENTITY x "expanded">]><A>&x;</A>';
    expect(textIn(xml, "A")).toBe("&x;");
  });

  test("a text of beginnings alone is read once", () => {
    expect(elements("<B>".repeat(300_000), "B")).toEqual([]);
  });
});

describe("AWS profiles", () => {
  const file = [
    "; keys of two",
    "aws_access_key_id = nobody's",
    "[default]",
    "aws_access_key_id=AKIA1",
    "  aws_secret_access_key = indented lines belong to what is above",
    "aws_secret_access_key = a=b/c+d== # mine",
    "[ other ]\r",
    "AWS_ACCESS_KEY_ID = AKIA2\r",
    "role_arn = arn:aws:iam::1:role/dns",
    "[empty]",
  ].join("\n");

  test("are read by their name", () => {
    expect(readAwsProfile(file, "default")).toEqual({
      keyId: "AKIA1",
      keySecret: "a=b/c+d==",
      sessionToken: undefined,
      settings: ["aws_access_key_id", "aws_secret_access_key"],
    });
    expect(readAwsProfile(file, "other")).toMatchObject({
      keyId: "AKIA2",
      keySecret: undefined,
      settings: ["aws_access_key_id", "role_arn"],
    });
    expect(readAwsProfile(file, "empty")?.settings).toEqual([]);
    expect(readAwsProfile(file, "absent")).toBeNull();
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");

  test("is seconds or a date, and nothing else", () => {
    expect(retryAfterOf("120", now)).toBe(120_000);
    expect(retryAfterOf(" 0 ", now)).toBe(0);
    expect(retryAfterOf("Sun, 22 Nov 2026 12:00:30 GMT", now)).toBe(30_000);
    expect(retryAfterOf("Sun, 22 Nov 2026 11:00:00 GMT", now)).toBe(0);
    for (const field of [null, "", "soon", "99999999999999999999"]) {
      expect(retryAfterOf(field, now)).toBeNull();
    }
  });
});
