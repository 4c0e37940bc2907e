// Which driver of QUIC runs. Called by listeners and targets.

import { ProxyError } from "../../shared/errors.ts";
import { loadBinding } from "./quiche/binding.ts";
import { QuicheDriver, type QuicHost } from "./quiche/driver.ts";
import type { QuicDriver, QuicDriverName } from "./transport.ts";

/** @throws ProxyError ERR_ENGINE if the one that was asked for does not run here, or none does. */
export function pickDriver(choice: "auto" | QuicDriverName, host: QuicHost): QuicDriver {
  if (choice === "bun") throw new ProxyError("ERR_ENGINE", "the QUIC driver bun does not run here");
  const binding = loadBinding();
  if (binding instanceof ProxyError) throw binding;
  return new QuicheDriver(binding, host);
}
