// Takes the lock of a file, says so, and keeps it until it is killed.

import { tryLock } from "../../../../src/ffi/file-lock.ts";

const lock = tryLock(process.argv[2]!);
process.stdout.write(lock === null ? "refused\n" : "held\n");
setInterval(() => {}, 1_000);
