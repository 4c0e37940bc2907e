// What this machine lacks says nothing of a target, on every engine: whoever uses up the ports towards a healthy one must not
// have it left out for those who come after.
import { expect } from "bun:test";
import { join } from "node:path";

import { forEveryEngine } from "../support/engines.ts";
import { testInNamespace } from "../support/namespace.ts";

const SCRIPT = join(import.meta.dir, "shortage-process.ts");
const FEW_PORTS = "echo '40000 40003' > /proc/sys/net/ipv4/ip_local_port_range";

forEveryEngine((engine) => {
  testInNamespace(
    [FEW_PORTS],
    "a target towards which no port is left is not left out for it",
    [SCRIPT, engine],
    ({ stdout }) => {
      expect(JSON.parse(stdout)).toEqual({
        others: true,
        errors: 4,
        ejections: 0,
        failures: 0,
        up: 1,
        circuitOpen: 0,
      });
    },
  );
});
