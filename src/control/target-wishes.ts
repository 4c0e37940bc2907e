// What an operator wants of a listener's targets (POST /api/targets): whether clients go there, and their share. Kept by what
// the target is called in the configuration, and by the names of single addresses, so that it outlives addresses that come and
// go, workers that crash, and reloads. Invariant: who wants something of a target as configured wants it of all its addresses,
// whatever was wanted of them before. Called by targets.ts.

import type { TargetMode } from "../shared/messages.ts";

/** What is left out stays as it is. */
export interface TargetWish {
  readonly mode?: TargetMode | undefined;
  /** null: as configured. */
  readonly weight?: number | null | undefined;
}

/** A wish as a successor is told of it. */
export interface HandedWish extends TargetWish {
  /** As configured. */
  readonly target: string;
  /** Of one of its addresses; left out: of all, also those to come. */
  readonly name?: string;
}

/** By ListenerPlan.key. */
export type HandedWishes = readonly (readonly [key: string, wishes: readonly HandedWish[]])[];

/** Of one target as configured. */
interface Wishes {
  all: TargetWish;
  /** By the name of the address. */
  readonly single: Map<string, TargetWish>;
}

export class TargetWishes {
  readonly #byTarget = new Map<string, Wishes>();

  /** @param name of one address; null: all of the target, also those to come. */
  add(configured: string, name: string | null, wish: TargetWish): void {
    const wishes = this.#of(configured);
    if (name === null) {
      wishes.all = join(wishes.all, wish);
      for (const [each, before] of wishes.single) {
        const mode = wish.mode === undefined ? before.mode : undefined;
        const weight = wish.weight === undefined ? before.weight : undefined;
        wishes.single.set(each, { mode, weight });
      }
    } else wishes.single.set(name, join(wishes.single.get(name) ?? {}, wish));
  }

  #of(configured: string): Wishes {
    let wishes = this.#byTarget.get(configured);
    if (wishes === undefined) {
      wishes = { all: {}, single: new Map() };
      this.#byTarget.set(configured, wishes);
    }
    return wishes;
  }

  /** What is wanted of an address. @param weight as configured. */
  of(configured: string, name: string, weight: number): { mode: TargetMode; weight: number } {
    const wishes = this.#byTarget.get(configured);
    const wish = join(wishes?.all ?? {}, wishes?.single.get(name) ?? {});
    return { mode: wish.mode ?? "enabled", weight: wish.weight ?? weight };
  }

  /** Those of a target come before those of its addresses. */
  list(): HandedWish[] {
    return [...this.#byTarget].flatMap(([target, { all, single }]) => {
      const ofSingle = [...single].map(([name, wish]) => ({ target, name, ...stated(wish) }));
      return [{ target, ...stated(all) }, ...ofSingle].filter(
        (wish) => "mode" in wish || "weight" in wish,
      );
    });
  }

  /** @param wishes as `list` gives them, instead of those that there are. */
  replace(wishes: readonly HandedWish[]): void {
    this.#byTarget.clear();
    for (const { target, name = null, mode, weight } of wishes)
      this.add(target, name, { mode, weight });
  }

  /** The address is another one's place now. */
  forget(configured: string, name: string): void {
    this.#byTarget.get(configured)?.single.delete(name);
  }

  /** Takes over what was wanted of targets that are still there. @param known names of addresses that are remembered. */
  inherit(before: TargetWishes, configured: ReadonlySet<string>, known: ReadonlySet<string>): void {
    for (const [target, { all, single }] of before.#byTarget) {
      if (!configured.has(target)) continue;
      const kept = [...single].filter(([name]) => known.has(name));
      this.#byTarget.set(target, { all, single: new Map(kept) });
    }
  }
}

function join(before: TargetWish, { mode = before.mode, weight = before.weight }: TargetWish) {
  return { mode, weight } satisfies TargetWish;
}

/** What it says, as JSON has it. */
function stated({ mode, weight }: TargetWish): TargetWish {
  return { ...(mode === undefined ? {} : { mode }), ...(weight === undefined ? {} : { weight }) };
}
