// The dashboard as the admin listener serves it: whole, compressed, and with a policy that lets nothing else run or load.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";

import type { Question } from "../../../src/control/admin/answer.ts";
import { DashboardPage } from "../../../src/control/admin/page.ts";

const page = new DashboardPage();

function ask(more: Partial<Question> = {}) {
  const query = new URLSearchParams();
  const question = { method: "GET", path: "/", query, accept: "", trusted: false, body: "" };
  return page.answer({ ...question, ...more });
}

test("it is one document, and compressed for whoever takes that", async () => {
  const plain = await ask();
  expect(plain).toMatchObject({ status: 200, type: "text/html; charset=utf-8" });
  expect(plain.fields).not.toHaveProperty("content-encoding");
  const compressed = await ask({ acceptEncoding: "br, gzip" });
  expect(compressed.fields).toMatchObject({ "content-encoding": "gzip", vary: "accept-encoding" });
  expect(gunzipSync(compressed.bytes!).toString("utf8")).toBe(plain.text);
});

test("who has it already is not sent it again", async () => {
  const { fields } = await ask();
  expect(await ask({ ifNoneMatch: fields!.etag! })).toMatchObject({ status: 304, text: "" });
  expect((await ask({ ifNoneMatch: '"another"' })).status).toBe(200);
});

test("the policy names its own script and style by what they are, and forbids the rest", async () => {
  const { text, fields } = await ask();
  const policy = fields!["content-security-policy"]!.split("; ");
  const hashOf = (tag: string): string => {
    const parts = text.split(new RegExp(`<${tag}(?: [^>]*)?>|</${tag}>`));
    expect(parts).toHaveLength(3); // one, and nothing in it that would end it
    return `'sha256-${createHash("sha256").update(parts[1]!).digest("base64")}'`;
  };
  expect(policy).toContain(`script-src ${hashOf("script")}`);
  expect(policy).toContain(`style-src ${hashOf("style")}`);
  expect(policy[0]).toBe("default-src 'none'");
  expect(policy).toContain("connect-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy.join()).not.toMatch(/unsafe|https?:|\*/);
});

test("it names no other machine", async () => {
  const { text } = await ask();
  const named = [...text.matchAll(/\bhttps?:\/\/([^/"'`\s$]+)/g)].map(([, host]) => host!);
  expect(named.filter((host) => host !== "www.w3.org")).toEqual([]); // names of namespaces
});
