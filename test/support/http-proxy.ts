// A proxy in this process with one listener of HTTP, written as in a configuration file, and what tests say to it byte by byte.

import { Proxy, type ProxyOptions } from "../../src/control/proxy.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import { compiledPlan } from "./compiled-plan.ts";
import { wireAddress } from "./relay.ts";
import { until } from "./until.ts";
import { Wire, type WireAddress, type WireServer } from "./wire.ts";

export class HttpProxy implements AsyncDisposable {
  readonly proxy: Proxy;

  private constructor(proxy: Proxy) {
    this.proxy = proxy;
  }

  /** @param keys of the listener; `file` has those of the file. */
  static async start(
    keys: Readonly<Record<string, unknown>>,
    options: ProxyOptions & { workers?: number; file?: Readonly<Record<string, unknown>> } = {},
  ): Promise<HttpProxy> {
    const { workers = 1, file = {}, ...rest } = options;
    const listener = { name: "http", listen: "127.0.0.1:0", ...keys };
    const plan = compiledPlan([listener], { workers, ...file });
    return new HttpProxy(await Proxy.start(plan, rest));
  }

  get address(): WireAddress {
    return wireAddress(this.proxy.listeners()[0]!.bound[0]!);
  }

  get stats(): ListenerStats {
    return Object.values(this.proxy.stats().listeners)[0]!;
  }

  connect(): Promise<Talk> {
    return Wire.connect(this.address).then((wire) => new Talk(wire));
  }

  /** A request on a connection of its own, which the proxy is asked to close. @returns the whole answer. */
  async ask(head: string, body = ""): Promise<string> {
    const talk = await this.connect();
    await talk.say(`${head}\r\nhost: a.example\r\nconnection: close\r\n\r\n${body}`);
    return talk.rest();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.kill();
  }
}

/** Text both ways over a connection. */
export class Talk {
  readonly wire: Wire;
  heard = "";

  constructor(wire: Wire) {
    this.wire = wire;
    wire.onData((chunk) => (this.heard += chunk.toString("latin1")));
  }

  static async accept(server: WireServer): Promise<Talk> {
    return new Talk(await server.accept());
  }

  say(text: string): Promise<void> {
    return this.wire.write(text);
  }

  /** Waits until this has been heard; takes what came up to it. */
  async hear(text: string): Promise<string> {
    await until(`"${text}"`, () => this.heard.includes(text));
    const end = this.heard.indexOf(text) + text.length;
    const taken = this.heard.slice(0, end);
    this.heard = this.heard.slice(end);
    return taken;
  }

  /** The head of a message. */
  head(): Promise<string> {
    return this.hear("\r\n\r\n");
  }

  /** Everything up to the end, however that came. */
  async rest(): Promise<string> {
    await this.wire.ending;
    return this.heard;
  }
}
