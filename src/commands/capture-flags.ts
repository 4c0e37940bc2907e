// The flags of `proxy capture`, and what they mean: -listen and -target in the words of `proxy` itself, and how to show or write
// what passes. Called by capture.ts.

import type { ArgsDef } from "citty";

import { checkSource } from "../config/check.ts";
import { flagSource } from "../config/flags.ts";
import { parseSize } from "../config/units.ts";
import { compile } from "../control/compile.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { CAPTURE } from "../shared/limits.ts";
import type { Plan, RelayPlan } from "../shared/plan.ts";
import { RUN_ARGS } from "./flags.ts";
import type { Example } from "./help.ts";
import { thisMachine } from "./machine.ts";

export const CAPTURE_ARGS = {
  listen: RUN_ARGS.listen,
  target: RUN_ARGS.target,
  write: {
    type: "string",
    valueHint: "traffic.pcapng",
    description: "write a pcapng file instead of showing text; - is the standard output",
  },
  force: { type: "boolean", description: "replace the file if it is there" },
  hex: { type: "boolean", description: "show offsets, hex and ASCII instead of text" },
  "max-bytes": {
    type: "string",
    valueHint: "4KB",
    description: "show at most so much of each chunk; 0 shows all (default: 4KB)",
  },
  connections: {
    type: "string",
    valueHint: "1",
    description: "end after so many connections (default: when it is stopped)",
  },
} as const satisfies ArgsDef;

export const CAPTURE_EXAMPLES: readonly Example[] = [
  ["proxy capture -listen :8080 -target 127.0.0.1:80", "text, on this terminal"],
  ["proxy capture -listen :8080 -target 127.0.0.1:80 -hex", "bytes, on this terminal"],
  [
    "proxy capture -listen :8080 -target 127.0.0.1:80 -write traffic.pcapng",
    "a file for Wireshark",
  ],
  ["proxy capture -listen :8080 -target 127.0.0.1:80 -write - | wireshark -k -i -", "live"],
];

/** Values as typed; undefined: not given. */
export interface CaptureFlags {
  readonly listen?: string | undefined;
  readonly target?: string | undefined;
  readonly write?: string | undefined;
  readonly force?: boolean | undefined;
  readonly hex?: boolean | undefined;
  readonly "max-bytes"?: string | undefined;
  readonly connections?: string | undefined;
}

export interface CaptureSettings {
  readonly plan: Plan;
  /** Its only listener. */
  readonly relay: RelayPlan;
  /** null: the terminal; `-`: the standard output. */
  readonly write: string | null;
  readonly force: boolean;
  readonly hex: boolean;
  readonly maxBytes: number;
  /** 0: no limit. */
  readonly connections: number;
}

/** @throws ProxyError ERR_USAGE, ERR_CONFIG or ERR_NOT_AVAILABLE. */
export function captureSettings(flags: CaptureFlags): CaptureSettings {
  const { listen, target, write = null, force = false, hex = false } = flags;
  const faults = uselessFlags(flags);
  const guarded = (read: () => number): number => {
    try {
      return read();
    } catch (error) {
      faults.push(messageOf(error));
      return 0;
    }
  };
  const maxBytes = guarded(() => readMaxBytes(flags["max-bytes"]));
  const connections = guarded(() => readConnections(flags.connections));
  if (faults.length > 0) throw new ProxyError("ERR_USAGE", faults.join("\n"));
  const plan = compile(checkSource(flagSource({ listen, target })), thisMachine());
  const [relay] = plan.listeners as [RelayPlan]; // what flags mean without -protocol
  return { plan, relay, write, force, hex, maxBytes, connections };
}

/** A flag without effect is a misunderstanding. */
function uselessFlags({ write, force, hex, "max-bytes": maxBytes }: CaptureFlags): string[] {
  const faults: string[] = [];
  if (write === undefined) {
    if (force) faults.push("-force has no effect without -write");
    return faults;
  }
  const whole = "a pcapng file has all bytes. Leave one of them out";
  if (hex) faults.push(`-hex has no effect together with -write: ${whole}`);
  if (maxBytes !== undefined)
    faults.push(`-max-bytes has no effect together with -write: ${whole}`);
  if (write === "-" && force) faults.push("-force has no effect on the standard output");
  if (write === "-" && process.stdout.isTTY === true) {
    faults.push(
      "-write -: a terminal cannot show a pcapng file. Pipe it: -write - | wireshark -k -i -",
    );
  }
  return faults;
}

function readMaxBytes(text: string | undefined): number {
  if (text === undefined) return CAPTURE.shownBytes;
  try {
    return parseSize(text);
  } catch (error) {
    throw new ProxyError("ERR_USAGE", `-max-bytes: ${messageOf(error)}`, { cause: error });
  }
}

function readConnections(text: string | undefined): number {
  if (text === undefined) return 0;
  const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (count > 0) return count;
  const cure = "Write a whole number of at least 1";
  throw new ProxyError("ERR_USAGE", `-connections: "${text}" is not a number of them`, { cure });
}
