// Overload of a proxy in this process, as a reload can make it: with a ceiling of one byte it holds too much, and with none it
// does not. Called by tests of what becomes of clients meanwhile.

import type { Proxy } from "../../src/control/proxy.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { until } from "./until.ts";

/** Settles when all new work is turned away. */
export async function overload(proxy: Proxy): Promise<void> {
  await reload(proxy, { bytes: 1 });
  await until("new work is turned away", () => proxy.health().overloaded.includes("memory"));
}

/** Settles when new work is done again. */
export async function recover(proxy: Proxy): Promise<void> {
  await reload(proxy, null);
  await until("new work is done", () => proxy.health().overloaded.length === 0);
}

async function reload(proxy: Proxy, memory: Plan["overload"]["memory"]): Promise<void> {
  const ceilings = { lagMs: 0, memory, descriptorsShare: 0 };
  const { settings, changed } = await proxy.reload({ ...proxy.plan, overload: ceilings });
  if (settings.join() !== "overload" || changed.length > 0) throw new Error("another reload");
}
