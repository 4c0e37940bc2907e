// Errors of connecting that say nothing of the target, since it is this machine that lacks something. Called by whatever connects
// to targets and has names of errors: the engine bun, gateways.

const DESCRIPTORS = new Set(["EMFILE", "ENFILE"]);
const SHORTAGES = new Set([...DESCRIPTORS, "ENOMEM", "ENOBUFS", "EADDRNOTAVAIL"]);

/** @param code an errno's name. ENOMEM, ENOBUFS: memory; EADDRNOTAVAIL: ports, towards this target alone. */
export function isShortage(code: string): boolean {
  return SHORTAGES.has(code);
}

/** No other target could be reached either. */
export function isOutOfDescriptors(code: string): boolean {
  return DESCRIPTORS.has(code);
}
