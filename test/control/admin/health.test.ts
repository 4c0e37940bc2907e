// What probes are told of a proxy: by a stand-in for one, which answers when it is told to.

import { describe, expect, test } from "bun:test";

import type { Question } from "../../../src/control/admin/answer.ts";
import {
  answerLive,
  answerReady,
  Pulse,
  readinessOf,
  type Subject,
} from "../../../src/control/admin/health.ts";
import type { Proxy } from "../../../src/control/proxy.ts";

const ASKED: Question = {
  method: "GET",
  path: "/",
  query: new URLSearchParams(),
  accept: "",
  trusted: true,
  body: "",
};

function subject(proxy: Partial<Proxy> | undefined, more: Partial<Subject> = {}): Subject {
  const reloads = { taken: 0, refused: 0, lastTakenMs: 0 };
  const nothing = { plan: { listeners: [] }, stats: () => ({ listeners: {} }) };
  const whole = proxy && { targets: () => new Map(), ...nothing, ...proxy };
  const told = { phase: "serving", refusal: null, reloads, logLevel: "info", ...more } as const;
  return { proxy: whole as unknown as Proxy, ...told };
}

const listeners = (...workers: number[][]): Proxy["listeners"] => {
  return () => workers.map((each, i) => ({ key: `tcp :${i}`, bound: [], workers: each }));
};
const noCertificates = (): [] => [];
const overloads = (): [] => [];

describe("a proxy lives", () => {
  test("as long as its workers answer in time; a hung one is asked once, however often probes come", async () => {
    let asked = 0;
    const answer = Promise.withResolvers<boolean>();
    const answers = (): Promise<boolean> => {
      asked++;
      return answer.promise;
    };
    const pulse = new Pulse(subject({ answers }));
    expect(await pulse.isAlive(1)).toBe(false);
    expect(await pulse.isAlive(1)).toBe(false);
    expect(asked).toBe(1);
    answer.resolve(true);
    expect(await pulse.isAlive(10_000)).toBe(true);
  });

  test("and not while no worker is up", async () => {
    const pulse = new Pulse(subject({ answers: () => Promise.resolve(false) }));
    expect(await answerLive(ASKED, pulse)).toMatchObject({
      status: 503,
      text: "workers do not answer\n",
    });
  });

  test("also before it has started", async () => {
    expect(await new Pulse(subject(undefined, { phase: "starting" })).isAlive()).toBe(true);
  });
});

describe("a proxy is ready", () => {
  test("while every listener is open, and missing certificates are only warned of", () => {
    const certificates = () => [{ names: ["a.example"], state: "missing" }] as never;
    const state = subject({ listeners: listeners([0, 1], [2]), certificates, overloads });
    expect(readinessOf(state)).toEqual({
      reasons: [],
      warnings: ["certificate of a.example is missing"],
    });
    expect(answerReady(ASKED, state)).toMatchObject({
      status: 200,
      text: "ready\nwarning: certificate of a.example is missing\n",
    });
  });

  test("whatever an operator wants of targets, with a warning for each that nobody is sent to", () => {
    const targets = () =>
      new Map([
        [
          "tcp :1",
          [
            { name: "a", mode: "enabled" },
            { name: "b", mode: "draining" },
            { name: "b", mode: "draining" }, // of another route
          ],
        ],
      ]) as never;
    const proxy = { listeners: listeners([0]), overloads, certificates: noCertificates, targets };
    expect(readinessOf(subject(proxy))).toEqual({
      reasons: [],
      warnings: ["target b of tcp :1 is draining"],
    });
  });

  test("and not while it starts, drains, has a listener that no worker serves, or a refused configuration", () => {
    const proxy = { listeners: listeners([0], []), certificates: noCertificates, overloads };
    const reasonsOf = (more: Partial<Subject>) => readinessOf(subject(proxy, more)).reasons;
    expect(reasonsOf({ phase: "starting" })).toEqual(["starting"]);
    expect(reasonsOf({ phase: "draining" })).toEqual(["draining"]);
    expect(reasonsOf({ refusal: "f:1:1: wrong" })).toEqual([
      "listener tcp :1 is open on no worker",
      "the configuration was not taken: f:1:1: wrong",
    ]);
  });

  test("and not while it turns new work away, unless most of that is served elsewhere", () => {
    const detail = "worker 2, 700 ms late";
    const state = (partial: boolean): Subject =>
      subject({
        listeners: listeners([0]),
        certificates: noCertificates,
        overloads: () => [{ reason: "lag", detail, partial }],
      });
    const told = ["overloaded by lag: worker 2, 700 ms late"];
    expect(readinessOf(state(false))).toEqual({ reasons: told, warnings: [] });
    expect(readinessOf(state(true))).toEqual({ reasons: [], warnings: told });
  });

  test("reasons are told to whom may know them alone", () => {
    const proxy = { listeners: listeners([]), certificates: noCertificates, overloads };
    const question = { ...ASKED, accept: "application/json" };
    const [told, public_] = [true, false].map((trusted) =>
      JSON.parse(answerReady({ ...question, trusted }, subject(proxy)).text),
    );
    expect(told).toEqual({
      status: "not ready",
      reasons: ["listener tcp :0 is open on no worker"],
      warnings: [],
    });
    expect(public_).toEqual({ status: "not ready" });
  });
});
