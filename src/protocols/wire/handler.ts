// The handler of a wire that has no owner yet, or none any more: nothing that it is told matters. Called by wires.

import type { WireHandler } from "./wire.ts";

const ignore = (): void => {};

export const SILENT: WireHandler = {
  onData: ignore,
  onDrain: ignore,
  onEnd: ignore,
  onClose: ignore,
};
