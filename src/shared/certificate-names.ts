// Names that certificates are for: one form for each, lower case, A-labels, no last dot. Pure. Called by the configuration and
// the library; which of them no public authority signs is in internal-names.ts.

import { isIP } from "node:net";
import { domainToASCII } from "node:url";

import { ProxyError } from "./errors.ts";
import { formatIp, parseIp } from "./ip.ts";

const EXAMPLES = "Write a name, www.example.com, or *.example.com for every name right below";

/**
 * Reads `www.example.com`, `*.example.com`, `bücher.example` or an address.
 * @returns the one form in which names are compared.
 * @throws ProxyError ERR_CONFIG, with what to write.
 */
export function parseCertificateName(written: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(written);
  if (url !== null) {
    const host = url[1]!.replace(/:\d+$/, "");
    throw bad(written, "is a URL, not a name", host === "" ? EXAMPLES : `Write ${host}`);
  }
  const address = parseIp(written.replace(/^\[(.*)\]$/, "$1"));
  if (address !== null) return formatIp(address);
  if (/[\s,;]/.test(written.trim())) {
    throw bad(written, "holds more than one name", "Write one entry for each");
  }
  if (/:\d*$/.test(written)) {
    const cure = `Write ${written.replace(/:\d*$/, "")}`;
    throw bad(written, "holds a port, which no certificate has", cure);
  }
  if (written.includes("/")) throw bad(written, "holds a path", "Write the name alone");
  if (written.includes("@")) throw bad(written, "is an e-mail address", EXAMPLES);
  const isWildcardName = written.trim().startsWith("*.");
  const rest = written.trim().slice(isWildcardName ? "*.".length : 0);
  if (rest.includes("*")) {
    throw bad(written, "has its * elsewhere than as the whole first label", EXAMPLES);
  }
  const name = asciiName(rest, written);
  return isWildcardName ? `*.${name}` : name;
}

/** Whether a certificate can be for it, in the form that parseCertificateName gives. */
export function isCertificateName(name: string): boolean {
  try {
    return parseCertificateName(name) === name;
  } catch {
    return false; // why, nobody asks who only wants to know whether
  }
}

function asciiName(rest: string, written: string): string {
  // What ends in a number would be read as an address: 127.1, 0x7f.1.
  const name = /(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(rest)
    ? ""
    : domainToASCII(rest).replace(/\.$/, "");
  if (name === "") throw bad(written, "is not a name", EXAMPLES);
  if (name.length > NAME_MAX) {
    throw bad(written, `has ${name.length} characters`, `A name has ${NAME_MAX} at most`);
  }
  const odd = name.split(".").find((label) => !LABEL.test(label));
  if (odd === undefined) return name;
  if (odd.includes("_")) {
    throw bad(written, "holds an underscore, which no certificate may have", "Use another name");
  }
  const reason = odd === "" ? "has an empty label" : `has "${odd}" for a label`;
  throw bad(written, reason, "A label has 1 to 63 letters, digits and hyphens, none at its ends");
}

/** RFC 1035 section 2.3.4. */
const NAME_MAX = 253;
/** RFC 1123 section 2.1, in lower case. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

function bad(written: string, problem: string, cure: string): ProxyError {
  return new ProxyError("ERR_CONFIG", `"${written}" ${problem}`, { cure });
}

/** @param name as parseCertificateName gives it, here and below. */
export function isWildcard(name: string): boolean {
  return name.startsWith("*.");
}

export function isAddress(name: string): boolean {
  return isIP(name) !== 0;
}
