// Which driver of QUIC runs: `quiche` where its binding exists, and `bun` elsewhere, or when it is asked for. Called by
// listeners and targets.

import { ProxyError } from "../../shared/errors.ts";
import type { QuicDriverChoice } from "../../shared/quic-plan.ts";
import { bunDriver } from "./bun/driver.ts";
import { loadBinding } from "./quiche/binding.ts";
import { QuicheDriver, type QuicHost } from "./quiche/driver.ts";
import type { QuicDriver } from "./transport.ts";

/** @throws ProxyError ERR_ENGINE if the one that was asked for does not run here. */
export function pickDriver(choice: QuicDriverChoice, host: QuicHost): QuicDriver {
  if (choice === "bun") return bunDriver;
  const binding = loadBinding();
  if (!(binding instanceof ProxyError)) return new QuicheDriver(binding, host);
  if (choice === "auto") return bunDriver;
  throw binding;
}
