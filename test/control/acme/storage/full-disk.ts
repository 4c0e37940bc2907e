// Saves a second certificate where nothing can be written any more, and says what became of it.

import { CertificateStorage } from "../../../../src/control/acme/storage.ts";
import { Secret } from "../../../../src/shared/secret.ts";

const { certificates } = new CertificateStorage(process.argv[2]!);
const key = Secret.of(Buffer.alloc(64 * 1024, "k"));
try {
  await certificates.save(["example.com"], { chain: "new", key }, "test", 1_000_000);
  process.stdout.write("saved\n");
} catch (error) {
  process.stdout.write(`${String(error)}\n`);
}
