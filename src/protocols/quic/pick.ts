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
  if (choice === "bun") return logged(bunDriver, host);
  const binding = loadBinding();
  if (!(binding instanceof ProxyError)) return logged(new QuicheDriver(binding, host), host);
  if (choice === "auto") return logged(bunDriver, host);
  throw binding;
}

/**
 * Of HTTP/3, which the driver bun does not do: it reads ahead of whoever reads from it. @param load for tests.
 * @throws ProxyError ERR_ENGINE if there is none here.
 */
export function pickHttp3Driver(host: QuicHost, load = loadBinding): QuicDriver {
  const binding = load();
  if (!(binding instanceof ProxyError)) return logged(new QuicheDriver(binding, host), host);
  throw new ProxyError("ERR_ENGINE", `there is no HTTP/3 here: ${binding.message}`, {
    cause: binding,
    cure: "Write http2 instead of http3, and https:// instead of h3://",
  });
}

/** Keys are told to whoever the worker has for them. */
function logged(driver: QuicDriver, { keyLog }: QuicHost): QuicDriver {
  if (keyLog === null) return driver;
  return {
    name: driver.name,
    listen: (options) => driver.listen({ ...options, keyLog }),
    connect: (options, connected) => driver.connect({ ...options, keyLog }, connected),
  };
}
