// Writes the unit file of packaging/systemd by what `proxy service install` writes, for an executable in /usr/local/bin and a
// configuration in /etc/proxy. A test fails where they differ:  bun scripts/packaging.ts

import { systemdUnit } from "../src/control/service/systemd.ts";
import { PROXY_DEFAULTS } from "../src/shared/limits.ts";

export const UNIT_PATH = Bun.fileURLToPath(
  new URL("../packaging/systemd/proxy.service", import.meta.url),
);

/** With the privilege of low ports, since it is not known what it will listen on. */
export function packagedUnit(): string {
  return systemdUnit({
    name: "proxy",
    scope: "system",
    command: ["/usr/local/bin/proxy"],
    config: "/etc/proxy/proxy.yaml",
    lowPorts: true,
    shutdownMs: PROXY_DEFAULTS.shutdownTimeoutMs,
  });
}

if (import.meta.main) await Bun.write(UNIT_PATH, packagedUnit());
