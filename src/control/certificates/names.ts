// What a file of certificates is for, without its key: the names that `proxy explain` compares, and when it ends. Called by the
// commands that only look.

import { readNamed } from "./files.ts";
import { certificatesOf, namesOf } from "./material.ts";

/** @throws ProxyError ERR_CERTIFICATE, which names the file, what is wrong and the cure. */
export function readCertificateNames(certFile: string): readonly string[] {
  const [own] = certificatesOf(readNamed(certFile));
  return namesOf(own!);
}
