// pipe(2), for which Node has no call: a reader that the test holds and does not read.

import { dlopen, ptr } from "bun:ffi";

const LIBC = process.platform === "darwin" ? "libSystem.dylib" : "libc.so.6";

export function pipe(): [reader: number, writer: number] {
  const fds = new Int32Array(2);
  const libc = dlopen(LIBC, { pipe: { args: ["ptr"], returns: "i32" } });
  if (libc.symbols.pipe(ptr(fds)) !== 0) throw new Error("pipe(2) failed");
  return [fds[0]!, fds[1]!];
}
