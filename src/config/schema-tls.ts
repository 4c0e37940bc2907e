// The grammar of TLS: what a listener shows its clients and asks of them, and how TLS is spoken with a target. Part of
// schema.ts; files are named here and read when the proxy starts.

import { z } from "zod";

import { choice, flag, text } from "./fields.ts";

const certFile = text("The certificate chain, PEM.");
const keyFile = text("The private key, PEM.");

/** YAML reads 1.3 without quotes as a number, and nobody can mean another version by it. */
const minVersion = z
  .literal(["1.2", "1.3", 1.2, 1.3])
  .transform((value) => String(value) as "1.2" | "1.3")
  .meta({ description: "The oldest TLS version that is accepted.", default: "1.2" });

/** Of the top level, and of a listener. */
export const tls = z
  .strictObject({
    cert_file: certFile,
    key_file: keyFile,
    certificates: z
      .array(z.strictObject({ cert_file: certFile, key_file: keyFile }))
      .min(1)
      .meta({
        description:
          "Several, chosen by the name that a client asks for; the first is for every other name.",
      }),
    ca_file: text("CAs of client certificates, PEM; asks for client certificates."),
    client_auth: choice(
      ["none", "request", "require"],
      "Client certificates; require if there is a ca_file.",
      "none",
    ),
    min_version: minVersion,
  })
  .partial();

/** Towards a target. */
export const targetTls = z
  .strictObject({
    ca_file: text("CAs of the target's certificate, PEM; the system's by default."),
    server_name: text("The name that is asked for and verified; the target's host by default."),
    insecure_skip_verify: flag(
      "true: any certificate is taken, so anybody may pose as the target. A warning is logged.",
      false,
    ),
    cert_file: text("Our certificate chain towards the target, PEM."),
    key_file: text("Its private key, PEM."),
  })
  .partial()
  .meta({ description: "How TLS is spoken with the target." });

export type TlsConfig = z.output<typeof tls>;
export type TargetTlsConfig = z.output<typeof targetTls>;
