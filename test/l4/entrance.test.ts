// The machine that a client passes before its target is chosen, without any engine: the order of its checks, and that however
// its first bytes come, it says the same.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { clientCountsMemory } from "../../src/l4/client-counts.ts";
import { Entrance, type Verdict } from "../../src/l4/entrance.ts";
import { bucketMemory } from "../../src/l4/token-buckets.ts";
import { parseIp } from "../../src/shared/ip.ts";
import { type ListenerOptions, listenerPlan } from "../support/plan.ts";
import { ascii, IPV4_BODY, v2, vector } from "./proxy/headers.ts";
import { alpn, hello, sni } from "./tls/hellos.ts";

const ip = (text: string): Uint8Array => parseIp(text)!;
const PROXY = ip("10.0.0.1");
const ANY = { accept: "any", trusted: ["10.0.0.0/8"] } as const;
const ROUTES = [{ name: "route", sni: "a.example", alpn: null, group: 3 }];
const HEADER = ascii("PROXY TCP4 192.0.2.1 192.0.2.2 7 443\r\n");

function entranceOf(options: Partial<ListenerOptions>): Entrance | null {
  const listener = listenerPlan({ target: "127.0.0.1:1", ...options });
  const clients = options.maxPerIp === undefined ? null : clientCountsMemory(10, 1);
  const accepts = options.acceptRate === undefined ? null : new SharedArrayBuffer(bucketMemory(1));
  return Entrance.of({ listener, clients, accepts });
}

describe("at accept", () => {
  test("a listener that asks nothing has no entrance, and one that only sends a header neither", () => {
    expect(entranceOf({})).toBeNull();
    expect(entranceOf({ proxyProtocol: { send: "v2" } })).toBeNull();
  });

  test("only what needs the client's bytes reads them", () => {
    expect(entranceOf({ access: { deny: ["::1"] } })!.reads).toBeFalse();
    expect(entranceOf({ maxPerIp: 1, acceptRate: 1 })!.reads).toBeFalse();
    expect(entranceOf({ proxyProtocol: ANY })!.firstBytesMax).toBe(536);
    expect(entranceOf({ routes: ROUTES })!.firstBytesMax).toBe(64 * 1024);
  });

  test("who is denied uses up nothing of the rate", () => {
    const entrance = entranceOf({ access: { deny: ["10.0.0.2"] }, acceptRate: 1 })!;
    expect(entrance.admit(ip("10.0.0.2"), 0)).toMatchObject({ reason: "denied" });
    expect(entrance.admit(PROXY, 0)).toBeNull();
    expect(entrance.admit(PROXY, 0)).toMatchObject({ reason: "accept_rate" });
    expect(entrance.admit(PROXY, 1_000)).toBeNull();
  });

  test("a trusted proxy needs not stand in allow, and is turned away if it is denied", () => {
    const access = { allow: ["192.0.2.0/24"], deny: ["10.0.0.9"] };
    const entrance = entranceOf({ access, proxyProtocol: ANY })!;
    expect(entrance.admit(PROXY, 0)).toBeNull();
    expect(entrance.admit(ip("10.0.0.9"), 0)).toMatchObject({ reason: "denied" });
    expect(entrance.admit(ip("192.0.2.1"), 0)).toMatchObject({ reason: "proxy_untrusted" });
  });

  test("a client whose address is not known any more is nobody's, but on a unix socket", () => {
    expect(entranceOf({ proxyProtocol: ANY })!.admit(null, 0)).toMatchObject({ reason: "denied" });
    const unix = entranceOf({ listen: "unix:/run/x.sock", proxyProtocol: ANY })!;
    expect(unix.admit(null, 0)).toBeNull();
  });
});

describe("the first bytes", () => {
  const arrive = (options: Partial<ListenerOptions>) => entranceOf(options)!.arrive(PROXY, 1_000);

  test("have their own time each", () => {
    const times = { proxyHeaderMs: 5, clientHelloMs: 100 };
    const arrival = arrive({ proxyProtocol: ANY, routes: ROUTES, ...times });
    expect(arrival.deadlineMs).toBe(1_005);
    expect(arrival.take(HEADER, 1_003)).toEqual({ type: "more" });
    expect(arrival.deadlineMs).toBe(1_103);
    expect(arrival.expired()).toMatchObject({ reason: "hello_timeout" });
    expect(arrive({ proxyProtocol: ANY, ...times }).expired()).toMatchObject({
      reason: "proxy_timeout",
      detail: "10.0.0.1: 0 bytes of a PROXY header within 5 ms",
    });
  });

  test("that never come refuse nobody, and those that break off do", () => {
    const options = { proxyProtocol: ANY, routes: ROUTES };
    expect(arrive(options).ended()).toEqual({ type: "left" });
    const inHeader = arrive(options);
    inHeader.take(HEADER.subarray(0, 5), 1_000);
    expect(inHeader.ended()).toMatchObject({ reason: "proxy_header" });
    const behindHeader = arrive(options);
    behindHeader.take(HEADER, 1_000);
    expect(behindHeader.ended()).toEqual({ type: "left" });
    const inHello = arrive(options);
    inHello.take(Buffer.concat([HEADER, hello(null).subarray(0, 9)]), 1_000);
    expect(inHello.ended()).toMatchObject({
      reason: "client_hello",
      detail: "192.0.2.1: it ended inside its hello",
    });
  });

  test("say what the target may be told", () => {
    const said = vector(2, ascii("front.example"));
    const header = v2(1, 0x11, [...IPV4_BODY, ...said, ...vector(1, ascii("h2"))]);
    const behind = arrive({ proxyProtocol: ANY });
    expect(behind.take(header, 1_000)).toEqual({ type: "go", group: 0 });
    expect(behind.extras).toEqual({ authority: "front.example", alpn: ascii("h2") });
    const routed = arrive({ proxyProtocol: ANY, routes: ROUTES });
    const asked = hello([sni("a.example"), alpn("imap")]);
    expect(routed.take(Buffer.concat([header, asked]), 1_000)).toEqual({ type: "go", group: 3 });
    expect(routed.extras.authority).toBe("a.example");
    expect(Buffer.from(routed.extras.alpn!).toString()).toBe("imap");
  });

  test("lead to the same, however they are cut, and what is left over is what follows the header", () => {
    const endings = [hello([sni("a.example")]), hello([sni("b.example")]), ascii("GET / HTTP")];
    const run = fc.record({
      header: fc.constantFrom(HEADER, v2(0, 0, []), ascii("PROXY TCP5\r\n")),
      ending: fc.constantFrom(...endings),
      payload: fc.uint8Array({ maxLength: 50 }),
      cuts: fc.array(fc.nat(400), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(run, ({ header, ending, payload, cuts }) => {
        const all = Buffer.concat([header, ending, payload]);
        const whole = arrive({ proxyProtocol: ANY, routes: ROUTES });
        const expected = whole.take(all, 1_000);
        const arrival = arrive({ proxyProtocol: ANY, routes: ROUTES });
        let verdict: Verdict = { type: "more" };
        let from = 0;
        for (const to of [...cuts.filter((cut) => cut < all.length), all.length].toSorted(
          (a, b) => a - b,
        )) {
          if (verdict.type === "more") verdict = arrival.take(all.subarray(from, to), 1_000);
          else break;
          from = to;
        }
        expect(verdict).toEqual(expected);
        if (verdict.type === "go") {
          expect(Buffer.concat([arrival.rest, all.subarray(from)])).toEqual(
            Buffer.concat([ending, payload]),
          );
        }
      }),
    );
  });

  test("max_per_ip counts the client that a header names, and the proxy where it names nobody", () => {
    const entrance = entranceOf({ proxyProtocol: ANY, maxPerIp: 1 })!;
    expect(entrance.countsPeers).toBeFalse();
    const take = (header: Uint8Array): Verdict => entrance.arrive(PROXY, 0).take(header, 0);
    expect(take(HEADER).type).toBe("go");
    expect(take(HEADER)).toMatchObject({ reason: "max_per_ip", detail: "192.0.2.1" });
    expect(take(v2(0, 0, [])).type).toBe("go");
    expect(take(v2(0, 0, []))).toMatchObject({ reason: "max_per_ip", detail: "10.0.0.1" });
    entrance.leave(ip("192.0.2.1"));
    expect(take(HEADER).type).toBe("go");
  });
});
