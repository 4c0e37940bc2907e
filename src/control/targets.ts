// The targets of one listener as workers are to see them: every address of every target has a slot, which stays its own as
// long as the address stays, so that what is counted for it stays together. Names are watched; probes report here, and so do
// operators. Called by listener.ts, one for each listener.

import { isDeepStrictEqual } from "node:util";

import { formatEndpoint, formatSocketAddress, type SocketAddress } from "../shared/address.ts";
import { monotonicMs } from "../shared/clock.ts";
import { CONTROL } from "../shared/limits.ts";
import type { Log } from "../shared/log.ts";
import type { TargetSlot } from "../shared/messages.ts";
import type { ListenerPlan, TargetPlan } from "../shared/plan.ts";
import type { TargetPlace } from "./listener-counts.ts";
import { AddressWatch, isName, type Lookup } from "./resolver.ts";
import { type HandedWish, type TargetWish, TargetWishes } from "./target-wishes.ts";

/** A target of the plan: its addresses, in slots of its own. */
interface Entry {
  readonly group: number;
  /** Within its group. */
  readonly index: number;
  readonly plan: TargetPlan;
  readonly firstSlot: number;
  readonly slots: number;
  /** As the configuration has it, for people. */
  readonly configured: string;
  /** By slot, from firstSlot on: the address that has it, or had it last. */
  readonly addresses: (SocketAddress | undefined)[];
  current: ReadonlySet<number>;
  watch: AddressWatch | undefined;
}

/** A target as it is, with what the configuration says of it. */
export interface ListedTarget extends TargetSlot {
  readonly configured: string;
  readonly configuredWeight: number;
}

export class TargetDirectory {
  /** Slots are below this. */
  readonly capacity: number;
  readonly #key: string;
  readonly #log: Log;
  readonly #lookup: Lookup;
  readonly #changed: () => void;
  readonly #entries: Entry[] = [];
  /** Slots that probes found down. */
  readonly #down = new Set<number>();
  readonly #wishes = new TargetWishes();
  /** By name: when it came to the others (TargetSlot.addedMs). */
  readonly #addedMs = new Map<string, number>();
  /** Names that the listener which this one's replaces had; undefined: there was none. */
  readonly #known: ReadonlySet<string> | undefined;
  #started = false;

  /**
   * @param changed called when `slots` gives another answer, after the start.
   * @param before of the listener that this one's replaces: what operators want stays for targets that stay.
   */
  constructor(
    plan: ListenerPlan,
    log: Log,
    lookup: Lookup,
    changed: () => void,
    before?: TargetDirectory,
  ) {
    this.#key = plan.key;
    this.#log = log;
    this.#lookup = lookup;
    this.#changed = changed;
    let capacity = 0;
    plan.groups.forEach(({ targets }, group) => {
      targets.forEach((target, index) => {
        const slots = isName(target.endpoint) ? CONTROL.addressesMax : 1;
        const configured = formatEndpoint(target.endpoint);
        const place = { group, index, plan: target, configured, firstSlot: capacity, slots };
        this.#entries.push({ ...place, addresses: [], current: new Set(), watch: undefined });
        capacity += slots;
      });
    });
    this.capacity = capacity;
    if (before === undefined) return;
    const configured = new Set(this.#entries.map((entry) => entry.configured));
    this.#known = new Set([...before.places().values()].map(({ name }) => name));
    this.#wishes.inherit(before.#wishes, configured, this.#known);
    for (const [name, ms] of before.#addedMs) this.#addedMs.set(name, ms);
  }

  /** Resolves every name once and goes on watching. Never rejects. */
  async start(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#watch(entry)));
    this.#started = true;
  }

  stop(): void {
    for (const { watch } of this.#entries) watch?.stop();
  }

  async #watch(entry: Entry): Promise<void> {
    const target = formatEndpoint(entry.plan.endpoint);
    entry.watch = await AddressWatch.start(entry.plan.endpoint, {
      changed: (addresses) => {
        const names = addresses.map(formatSocketAddress);
        const about = { listener: this.#key, target, addresses: names };
        this.#log.info(about, "target has new addresses");
        this.#assign(entry, addresses);
        this.#changed();
      },
      log: this.#log,
      about: { listener: this.#key, target },
      lookup: this.#lookup,
    });
    this.#assign(entry, entry.watch.current);
  }

  /** Addresses that stay keep their slots; new ones take those that are free, longest unused first. */
  #assign(entry: Entry, addresses: readonly SocketAddress[]): void {
    const { slots, plan } = entry;
    if (addresses.length > slots) {
      const target = formatEndpoint(plan.endpoint);
      const about = { listener: this.#key, target, addresses: addresses.length, used: slots };
      this.#log.warn(about, "target has more addresses than are used");
    }
    const wanted = addresses.slice(0, slots);
    const placeOf = (address: SocketAddress): number =>
      entry.addresses.findIndex((known) => known !== undefined && sameAddress(known, address));
    const current = new Set(wanted.map(placeOf).filter((place) => place >= 0));
    for (const address of wanted) {
      if (placeOf(address) >= 0) continue;
      const free = Array.from({ length: slots }, (_, i) => i).filter((i) => !current.has(i));
      const place = free.find((i) => entry.addresses[i] === undefined) ?? free[0]!;
      if (entry.addresses[place] !== undefined) {
        const name = this.#nameOf(entry, place);
        this.#wishes.forget(entry.configured, name);
        this.#addedMs.delete(name);
      }
      entry.addresses[place] = address;
      this.#down.delete(entry.firstSlot + place);
      current.add(place);
    }
    for (const place of current) {
      if (!entry.current.has(place)) this.#note(this.#nameOf(entry, place));
    }
    entry.current = current;
  }

  /** An address has come: at the start with all others, or to them. */
  #note(name: string): void {
    if (this.#started || this.#known?.has(name) === false) this.#addedMs.set(name, monotonicMs());
  }

  /** What workers are to know. */
  slots(): TargetSlot[] {
    return this.#entries.flatMap((entry) =>
      [...entry.current].map((place) => this.#slotOf(entry, place)),
    );
  }

  /** What there is to say of targets. */
  list(): ListedTarget[] {
    return this.#entries.flatMap((entry) => {
      const { configured, plan } = entry;
      const more = { configured, configuredWeight: plan.weight };
      return [...entry.current].map((place) => ({ ...this.#slotOf(entry, place), ...more }));
    });
  }

  /**
   * What an operator wants, in every group that has the target.
   * @param target as configured, for all its addresses, also those to come; or the name of one.
   * @returns false: there is no such target.
   */
  wish(target: string, wish: TargetWish): boolean {
    const meant = this.#entries.flatMap((entry) => {
      if (entry.configured === target) return { entry, name: null };
      const places = [...entry.addresses.keys()];
      const has = places.some((place) => this.#nameOf(entry, place) === target);
      return has ? { entry, name: target } : [];
    });
    for (const { entry, name } of meant) this.#wishes.add(entry.configured, name, wish);
    if (meant.length > 0) this.#changed();
    return meant.length > 0;
  }

  /** What operators want, for a successor. */
  wishes(): HandedWish[] {
    return this.#wishes.list();
  }

  /** What operators wanted of the process that this one replaces; of targets that are gone nothing is wanted any more. */
  takeWishes(handed: readonly HandedWish[]): void {
    const configured = new Set(this.#entries.map((entry) => entry.configured));
    const wishes = handed.filter(({ target }) => configured.has(target));
    if (isDeepStrictEqual(wishes, this.#wishes.list())) return;
    this.#wishes.replace(wishes);
    const about = { listener: this.#key, wishes: wishes.length };
    this.#log.info(
      about,
      "targets are to be as operators want them in the process before this one",
    );
    if (this.#started) this.#changed();
  }

  /** Every slot that has or had an address. */
  places(): Map<number, TargetPlace> {
    const places = new Map<number, TargetPlace>();
    for (const entry of this.#entries) {
      entry.addresses.forEach((_, place) => {
        const name = this.#nameOf(entry, place);
        places.set(entry.firstSlot + place, { name, group: entry.group });
      });
    }
    return places;
  }

  #slotOf(entry: Entry, place: number): TargetSlot {
    const { group, index, plan, firstSlot } = entry;
    const address = entry.addresses[place]!;
    const name = this.#nameOf(entry, place);
    const slot = firstSlot + place;
    const { weight: configured, backup } = plan;
    const { mode, weight } = this.#wishes.of(entry.configured, name, configured);
    const up = !this.#down.has(slot);
    const addedMs = this.#addedMs.get(name) ?? 0;
    return { slot, group, index, address, name, weight, backup, up, mode, addedMs };
  }

  #nameOf({ addresses, plan, configured }: Entry, place: number): string {
    const text = formatSocketAddress(addresses[place]!);
    return isName(plan.endpoint) ? `${text} (${configured})` : text;
  }

  /** Probes found out something. */
  probed(slot: number, up: boolean): void {
    if (up === !this.#down.has(slot)) return;
    if (up) this.#down.delete(slot);
    else this.#down.add(slot);
    this.#changed();
  }
}

function sameAddress(a: SocketAddress, b: SocketAddress): boolean {
  return formatSocketAddress(a) === formatSocketAddress(b);
}
