// What may be asked, and what is said of what may not.

import { describe, expect, test } from "bun:test";

import { authorityOf, formatUrl, parseQuestion } from "../../src/explain/question.ts";

test("what is not said is what clients do", () => {
  expect(parseQuestion("HTTPS://A.Example/b?c#d")).toEqual({
    scheme: "https",
    host: "a.example",
    port: 443,
    path: "/b?c",
    client: "127.0.0.1",
    address: null,
    sni: "a.example",
    alpn: ["h2", "http/1.1"],
    method: "GET",
    fields: [],
  });
  expect(parseQuestion("tls://[::1]:5432")).toMatchObject({ host: "::1", sni: null, alpn: [] });
  expect(parseQuestion("http://a.example")).toMatchObject({ port: 80, path: "/", sni: null });
});

test("a path stays as it is written, but for what no client sends", () => {
  expect(parseQuestion("http://a/b/../%2e/c").path).toBe("/b/../%2e/c");
  expect(parseQuestion("http://a/grün?ü").path).toBe("/gr%C3%BCn?%C3%BC");
  expect(parseQuestion("http://a?b").path).toBe("/?b");
});

test("a URL is written with its port, and Host without the scheme's own", () => {
  expect(formatUrl(parseQuestion("https://[2001:db8::1]/a"))).toBe("https://[2001:db8::1]:443/a");
  expect(authorityOf(parseQuestion("https://[2001:db8::1]/a"))).toBe("[2001:db8::1]");
  expect(authorityOf(parseQuestion("http://a.example:8080/"))).toBe("a.example:8080");
  const told = parseQuestion("http://a.example/", { headers: ["Host: b.example"] });
  expect(authorityOf(told)).toBe("b.example");
});

describe("a mistake is told with its cure", () => {
  test.each([
    ["a.example", {}, "is not a URL that is known here. Write one of http://, https://, h3://"],
    ["ftp://a.example", {}, "is not a URL that is known here"],
    ["tcp://a.example", {}, "has no port. Write tcp://a.example:8080"],
    ["tcp://a.example:1/b", {}, "has a path, which tcp:// has no use for"],
    ["http://a.example/a b", {}, "has a space or a control character in its path"],
    ["http://a.example:99999/", {}, "port 99999 is out of range"],
    ["http://:80/", {}, "a target needs a host"],
    ["http://a/", { client: "a.example" }, '-client: "a.example" is not an address'],
    ["http://a/", { address: "1" }, '-address: "1" is not an address'],
    ["http://a/", { method: "GE T" }, '-method: "GE T" is no method'],
    ["http://a/", { headers: ["a"] }, '-header: "a" is no field. Write name:value'],
    ["http://a/", { headers: ["te: trailers"] }, "-header: no route looks at te"],
    ["http://a/", { headers: ["content-length: x"] }, '-header: "x" is no content-length'],
    ["http://a/", { sni: "b" }, "-sni has no effect on http://. It is for https://, h3://"],
    ["tcp://a:1", { alpn: "h2" }, "-alpn has no effect on tcp://"],
    ["tls://a:1", { method: "GET" }, "-method has no effect on tls://"],
    ["udp://a:1", { headers: ["a:b"] }, "-header has no effect on udp://"],
  ])("%s with %j", (url, options, expected) => {
    expect(() => parseQuestion(url, options)).toThrow(expected);
  });

  test("all of them at once", () => {
    const wrong = { client: "x", headers: ["y"] };
    expect(() => parseQuestion("z", wrong)).toThrow(/is not a URL[^]*-header: "y"[^]*-client: "x"/);
  });
});
