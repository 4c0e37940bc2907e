// What handshakes wait for: each waiter is told once, and neither names nor waiters nor time are without bounds.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";

import { type Waiter, WantedNames } from "../../src/protocols/wanted-names.ts";
import { ON_DEMAND } from "../../src/shared/limits.ts";
import { until } from "../support/until.ts";

class Told implements Waiter {
  readonly told: string[] = [];

  granted(): void {
    this.told.push("granted");
  }

  denied(why: string): void {
    this.told.push(why);
  }
}

let asked: string[];
let names: WantedNames;
let started: number;

beforeEach(() => {
  asked = [];
  started = performance.now();
  names = new WantedNames((name) => asked.push(name));
});
afterEach(() => names.close());

function waiterFor(name: string): Told {
  const waiter = new Told();
  expect(names.wait(name, waiter)).toBeNull();
  return waiter;
}

describe("who waits", () => {
  test("is told when the name has a certificate, and the control plane is asked once", () => {
    const [one, two, other] = [
      waiterFor("a.example"),
      waiterFor("a.example"),
      waiterFor("b.example"),
    ];
    expect(asked).toEqual(["a.example", "b.example"]);
    names.arrived((name) => name === "a.example");
    names.arrived((name) => name === "a.example");
    expect([one.told, two.told, other.told]).toEqual([["granted"], ["granted"], []]);
  });

  test("is told of a denial, and so is whoever comes in the next moments", () => {
    const waiter = waiterFor("a.example");
    names.deny("a.example");
    names.deny("a.example");
    expect(waiter.told).toEqual(["there is no certificate for a.example"]);
    expect(names.wait("a.example", waiter)).toBe("there is no certificate for a.example");
    names.want("a.example");
    expect(asked).toEqual(["a.example"]);
  });

  test("is not told any more once it has left", () => {
    const [one, two] = [waiterFor("a.example"), waiterFor("a.example")];
    names.leave("a.example", one);
    names.deny("a.example");
    expect([one.told, two.told]).toEqual([[], ["there is no certificate for a.example"]]);
  });

  test("is told when it has waited long enough, in turn, and the name may be asked for again", async () => {
    const quick = new WantedNames((name) => asked.push(name), 40);
    const [one, two] = [new Told(), new Told()];
    expect(quick.wait("a.example", one)).toBeNull();
    await until("some of its time", () => performance.now() > started + 15);
    expect(quick.wait("b.example", two)).toBeNull();
    await until("the end of both", () => two.told.length > 0);
    expect([one.told, two.told]).toEqual([
      ["no certificate for a.example within 40 ms"],
      ["no certificate for b.example within 40 ms"],
    ]);
    expect(quick.wait("a.example", new Told())).toBeNull();
    expect(asked).toEqual(["a.example", "b.example", "a.example"]);
    quick.close();
  });
});

test("a listener that is closed keeps nobody, and asks for nothing", () => {
  const waiter = waiterFor("a.example");
  names.close();
  expect(waiter.told).toEqual(["the listener was closed"]);
  expect(names.wait("b.example", waiter)).toBe("there is no certificate for b.example");
  names.want("c.example");
  expect(asked).toEqual(["a.example"]);
});

describe("bounds", () => {
  test("of names: one more is not asked for, until another is decided", () => {
    for (let i = 0; i < ON_DEMAND.namesMax; i++) names.want(`${i}.example`);
    expect(names.wait("a.example", new Told())).toBe("too many names wait for a certificate");
    names.want("a.example");
    expect(asked).toHaveLength(ON_DEMAND.namesMax);
    names.deny("7.example");
    waiterFor("a.example");
  });

  test("of waiters: one more goes away at once, until another has left", () => {
    const all = Array.from({ length: ON_DEMAND.handshakesMax }, () => waiterFor("a.example"));
    const more = new Told();
    expect(names.wait("a.example", more)).toBe("too many handshakes wait for a certificate");
    names.leave("a.example", all[3]!);
    names.leave("a.example", all[3]!);
    expect(names.wait("a.example", more)).toBeNull();
    expect(names.wait("a.example", new Told())).toBe("too many handshakes wait for a certificate");
    names.arrived(() => true);
    waiterFor("b.example");
    expect(more.told).toEqual(["granted"]);
  });

  test("of denials: the oldest is forgotten", () => {
    for (let i = 0; i <= ON_DEMAND.denialsMax; i++) {
      names.want(`${i}.example`);
      names.deny(`${i}.example`);
    }
    expect(names.isDenied("0.example")).toBeFalse();
    expect(names.isDenied("1.example")).toBeTrue();
  });

  test("of denials that nobody asked for: none is kept", () => {
    names.deny("a.example");
    expect(names.isDenied("a.example")).toBeFalse();
  });
});
