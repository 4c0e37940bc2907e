// What `proxy trust` tells people: which root it is, what would be run here, and what to do on devices that run no proxy. Pure.

import { formatCommand, type Store, type TrustedRoot } from "../control/trust/stores.ts";
import type { Style } from "./terminal.ts";

export interface RootFacts extends TrustedRoot {
  /** SHA-256, in pairs with colons, as browsers show it. */
  readonly fingerprint256: string;
  readonly validFrom: Date;
  readonly validTo: Date;
}

export interface Around {
  /** null: how this system keeps authorities is not known. */
  readonly system: Store | null;
  readonly browsers: readonly Store[];
  /** Programs for browsers' stores are missing. */
  readonly lacksCertutil: boolean;
  /** As it was called, to be repeated with -install: `proxy trust -storage certificates`. */
  readonly call: string;
  /** Whether the system's store wants root. */
  readonly wantsSudo: boolean;
}

/** Without -install: nothing is changed. */
export function explanation(root: RootFacts, around: Around, style: Style): string {
  return `${style.bold("The internal authority of this machine")}
  name         ${root.name}
  root         ${style.cyan(root.file)}
  SHA-256      ${root.fingerprint256.slice(0, 47)}
               ${root.fingerprint256.slice(48)}
  valid        ${day(root.validFrom)} to ${day(root.validTo)}

Whoever trusts it accepts whatever it signs, for any name. Its key, beside it, must stay on this machine.

${style.bold("On this machine")}
${here(root, around, style)}

${style.bold("On other devices")}, with a copy of the root; compare the SHA-256 there:
${DEVICES.map(([name, how]) => `  ${style.cyan(name.padEnd(16))}${how}`).join("\n")}`;
}

function here(root: TrustedRoot, around: Around, style: Style): string {
  const { system, browsers, call, wantsSudo, lacksCertutil } = around;
  const stores = system === null ? browsers : [system, ...browsers];
  const commands = stores.flatMap((store) => store.install(root));
  const sudo = wantsSudo && system !== null ? "sudo " : "";
  const lines =
    commands.length === 0
      ? ["  How this system keeps authorities is not known here; its documentation says it."]
      : [
          `  ${style.cyan(`${sudo}${call} -install`)}`,
          `  runs what follows, and -uninstall takes it back:`,
          ...commands.map((command) => `    ${style.dim(formatCommand(command))}`),
        ];
  if (lacksCertutil) lines.push(`  ${CERTUTIL_MISSING}`);
  return lines.join("\n");
}

export const CERTUTIL_MISSING =
  "Browsers here have stores of their own; for these, install certutil (libnss3-tools, nss-tools).";

const DEVICES: readonly (readonly [string, string])[] = [
  [
    "Debian, Ubuntu",
    "copy it to /usr/local/share/ca-certificates/NAME.crt, then update-ca-certificates",
  ],
  ["Fedora, RHEL", "copy it to /etc/pki/ca-trust/source/anchors/, then update-ca-trust"],
  ["Arch", "trust anchor --store root.pem"],
  ["macOS", "open it, then in Keychain Access: Get Info, Trust, Always Trust"],
  ["Windows", "certutil -addstore Root root.pem, in a console of an administrator"],
  [
    "iPhone, iPad",
    "send it there, install the profile, then Settings, General, About, Certificate Trust",
  ],
  [
    "Android",
    "Settings, search for CA certificate, install; apps other than browsers may not heed it",
  ],
  ["Firefox", "Settings, Certificates, View Certificates, Authorities, Import"],
  ["curl", "curl --cacert root.pem"],
  ["Node.js, Bun", "NODE_EXTRA_CA_CERTS=root.pem"],
];

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
