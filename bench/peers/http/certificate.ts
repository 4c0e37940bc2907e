// The one certificate of all that speak TLS in the benchmark: ECDSA on P-256, as new certificates mostly are. Made by openssl.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  certFile: string;
  keyFile: string;
  /** Both in one file, as haproxy wants it. */
  bothFile: string;
}

/** Made once for each directory. Not a promise: contestants start at once, and there must be one certificate. */
export function certificate(directory: string): Certificate {
  const [certFile, keyFile, bothFile] = ["cert.pem", "key.pem", "both.pem"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  if (existsSync(bothFile)) return { certFile, keyFile, bothFile };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const files = ["-keyout", keyFile, "-out", certFile];
  const { exitCode, stderr } = Bun.spawnSync(
    ["openssl", "req", "-x509", ...curve, ...names, "-days", "30", ...files],
    { env: process.env },
  );
  if (exitCode !== 0) throw new Error(`openssl makes no certificate: ${stderr.toString()}`);
  writeFileSync(bothFile, `${readFileSync(certFile, "utf8")}${readFileSync(keyFile, "utf8")}`);
  return { certFile, keyFile, bothFile };
}
