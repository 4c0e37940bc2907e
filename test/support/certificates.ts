// Certificates for tests, made by openssl(1): an authority of its own for each test file, and what it issues. Files are in a
// folder that goes with the authority.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { CertificateMaterial } from "../../src/shared/certificates.ts";
import { program } from "./programs.ts";

export interface Issued {
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly material: CertificateMaterial;
}

export interface IssueOptions {
  /** Of the file, and the common name. Default: the first name. */
  name?: string;
  keyType?: "ec" | "rsa";
  /** As openssl writes it: `/C=DE/CN=x`. Default: `/CN=` and the name. */
  subject?: string;
  /** It was valid until yesterday. */
  expired?: boolean;
  /** Default: the authority itself. */
  issuer?: Issued;
  /** It may sign others. */
  authority?: boolean;
}

export class Authority implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "certificates-"));
  readonly #root: Issued;
  #serial = 1;

  constructor() {
    this.#root = this.#make(
      [],
      { name: "authority", subject: "/CN=Test authority", authority: true },
      null,
    );
  }

  get caFile(): string {
    return this.#root.certFile;
  }

  /** PEM. */
  get ca(): string {
    return this.#root.cert;
  }

  /** @param names DNS names, or `IP:127.0.0.1` as openssl writes it. */
  issue(names: readonly string[], options: IssueOptions = {}): Issued {
    return this.#make(names, options, options.issuer ?? this.#root);
  }

  /** Nobody signed it but itself. */
  selfSigned(names: readonly string[], options: IssueOptions = {}): Issued {
    return this.#make(names, options, null);
  }

  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  #make(names: readonly string[], options: IssueOptions, issuer: Issued | null): Issued {
    const { keyType = "ec", authority = false } = options;
    const name = options.name ?? names[0] ?? "certificate";
    const serial = this.#serial++;
    const base = join(this.folder, `${serial}-${name.replace("*", "_")}`);
    const files = { certFile: `${base}.pem`, keyFile: `${base}.key` };
    const algorithm =
      keyType === "rsa" ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const extensions = [`basicConstraints=critical,CA:${authority ? "TRUE" : "FALSE"}`];
    const alternatives = names.map((each) => (each.includes(":") ? each : `DNS:${each}`));
    if (names.length > 0) extensions.push(`subjectAltName=${alternatives.join(",")}`);
    const request = `${base}.csr`;
    const subject = options.subject ?? `/CN=${name}`;
    openssl(
      "req",
      "-new",
      "-newkey",
      ...algorithm,
      "-nodes",
      "-utf8",
      "-keyout",
      files.keyFile,
      "-out",
      request,
      "-subj",
      subject,
    );
    const signer =
      issuer === null
        ? ["-signkey", files.keyFile]
        : ["-CA", issuer.certFile, "-CAkey", issuer.keyFile];
    const config = this.file(`${serial}.ext`, `${extensions.join("\n")}\n`);
    const sign = [
      "x509",
      "-req",
      "-in",
      request,
      ...signer,
      "-extfile",
      config,
      "-set_serial",
      `${serial}`,
    ];
    const days = options.expired === true ? "-1" : "30";
    openssl(...sign, "-days", days, "-out", files.certFile);
    const [cert, key] = [files.certFile, files.keyFile].map((file) => readFileSync(file, "utf8"));
    const material = {
      chain: cert!,
      key: new Uint8Array(Buffer.from(key!)).buffer,
      names: names.filter((each) => !each.includes(":")),
      keyType,
    };
    return { ...files, cert: cert!, key: key!, material };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @throws Error with what it says. */
export function openssl(...args: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([program("openssl"), ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
  return stdout.toString();
}
