// Saves certificates for a name without end: what a test kills at any moment.

import { CertificateStorage } from "../../../../src/control/acme/storage.ts";
import { Secret } from "../../../../src/shared/secret.ts";

const [folder, name] = process.argv.slice(2) as [string, string];
const storage = new CertificateStorage(folder);
const lock = await storage.lockCertificate(name, AbortSignal.timeout(10_000));
process.stdout.write("begun\n");
for (let i = 0; ; i++) {
  const key = Secret.of(Buffer.from(`number ${i}`));
  await storage.certificates.save([name], { chain: `number ${i}`, key }, "test", Date.now());
  if (i < 0) lock.release();
}
