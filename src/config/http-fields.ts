// The scalars of HTTP that a configuration may hold: field values, methods, patterns, redirect targets. Each is checked and
// converted in one step, so that what a peer reads as two lines or two fields cannot be written. Called by schema-http.ts.

import { isIP } from "node:net";
import { domainToASCII } from "node:url";

import { ProxyError } from "../shared/errors.ts";
import { scalar } from "./fields.ts";

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function bad(written: string, reason: string, cure: string): ProxyError {
  return new ProxyError("ERR_CONFIG", `"${shown(written)}" ${reason}`, { cure });
}

/** Control characters would break the line of the message. */
const shown = (text: string): string => JSON.stringify(text).slice(1, -1);

/** @returns why it cannot be a field's name, or undefined. */
export function fieldNameFault(name: string): string | undefined {
  if (name.startsWith(":")) return "begins with a colon, as only HTTP/2's own fields do";
  if (TOKEN.test(name)) return undefined;
  return "is not a field's name: it may have letters, digits and -_.!#$%&'*+^`|~";
}

/** A field's name, in lower case. */
export function fieldName(description: string) {
  return scalar(
    (value): string => {
      const written = String(value);
      const fault = fieldNameFault(written);
      if (fault !== undefined) throw bad(written, fault, "Write for example x-request-source");
      return written.toLowerCase();
    },
    "text",
    { description, type: "string", pattern: "^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$" },
  );
}

/** What other programs would put a value in place of. Other braces and signs are text. */
const PLACEHOLDER = new RegExp(
  [
    /\{(http|client|remote|upstream|request|env)[\w.:-]*\}|\{(host|scheme|path|uri)\}/, // Caddy
    /\$\{?(host|scheme|request_uri|(remote|http|proxy|ssl|server|upstream|connection)_\w+)/, // nginx
    /%\[[^\]]*\]?/, // haproxy
  ]
    .map(({ source }) => source)
    .join("|"),
);

/** Credentials stand in fields, and what is wrong with a file is told in logs. */
const UNSHOWN = "…";

/** A field's value (RFC 9110 section 5.5), without what has been allowed for old times' sake. */
export function fieldValue(description: string) {
  return scalar(
    (value): string => {
      const written = String(value);
      if (/[\r\n\0]/.test(written)) {
        throw bad(UNSHOWN, "holds a line break or a zero byte", "A field's value is one line");
      }
      if (/[^\t\x20-\x7e]/.test(written)) {
        const cure = "Write ASCII; other letters percent-encoded, if the reader takes them so";
        throw bad(UNSHOWN, "holds a character that a field's value may not have", cure);
      }
      const [variable] = PLACEHOLDER.exec(written) ?? [];
      if (variable !== undefined) {
        const cure =
          "Targets get the client's address in X-Real-IP and X-Forwarded-For, scheme and host in -Proto and -Host";
        throw bad(variable, "is a variable of another program, and fields have none here", cure);
      }
      if (written.trim() !== written) {
        throw bad(UNSHOWN, "begins or ends with a space, which would be lost", "Remove it");
      }
      return written;
    },
    "text",
    { description, type: "string", pattern: "^[\\t\\x20-\\x7e]*$" },
  );
}

/** What a request's field is compared with; `*`: any. */
export function fieldMatch(description: string) {
  return fieldValue(description).superRefine((value, context) => {
    if (value === "*" || !/^\*[^/]|[^/]\*$/.test(value)) return;
    const message = `"${value}" is compared as it is: only "*" alone fits any value`;
    context.issues.push({ code: "custom", message, input: value });
  });
}

/** RFC 9110 section 9.1: methods are told apart by case. */
export function method() {
  return scalar(
    (value): string => {
      const written = String(value);
      if (!TOKEN.test(written)) throw bad(written, "is not a method", "Write for example GET");
      if (/[a-z]/.test(written)) {
        const cure = `Write ${written.toUpperCase()}`;
        throw bad(written, "is not in capitals, as methods are", cure);
      }
      return written;
    },
    "text",
    { description: "A method: GET, POST, …", type: "string", pattern: "^[^a-z ]+$" },
  );
}

/** `api.example.com`, `*.example.com`, an IP address; in lower case and ASCII. */
export function hostPattern(description: string) {
  return scalar((value) => parseHostPattern(String(value)), "text", {
    description,
    type: "string",
    examples: ["api.example.com", "*.example.com"],
  });
}

const HOST_CURE = "Write a host name, api.example.com, or *.example.com for every name below";

/** @throws ProxyError ERR_CONFIG, with what to write. */
export function parseHostPattern(written: string): string {
  if (written === "*" || written === "") {
    throw bad(written, "is not a host", "Leave host out for every host");
  }
  if (/^[a-z]+:\/\//i.test(written)) {
    throw bad(
      written,
      "is a URL, not a host",
      "Write the host alone; the path has a key of its own",
    );
  }
  const bare = written.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) === 6) return `[${bare.toLowerCase()}]`;
  if (/:\d*$/.test(written)) {
    const host = written.replace(/:\d*$/, "");
    throw bad(written, "holds a port, which is not compared", `Write ${host}`);
  }
  if (written.includes("/")) {
    throw bad(written, "holds a path", "Write the host alone; path is a key of its own");
  }
  if (/^[~^]|[\\()|$]/.test(written)) {
    const cure = "Write each host, or *.example.com for every name below";
    throw bad(written, "is a regular expression, and hosts are compared as they are", cure);
  }
  const wildcard = written.startsWith("*.");
  const name = domainToASCII(
    (wildcard ? written.slice(2) : written).replace(/\.$/, "").toLowerCase(),
  );
  const fits =
    name.length <= 253 &&
    name.split(".").every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
  if (!fits) throw bad(written, "is not a host", HOST_CURE);
  return wildcard ? `*.${name}` : name;
}

/** Of paths: what needs no percent-encoding (RFC 3986 section 3.3), and percent-encoded bytes. */
const PATH = /^([!$&'()+,\-./:;=@_~*0-9A-Za-z]|%[0-9A-Fa-f]{2})*$/;

/** What other programs take for a path (`~ \\.php$`, `^/v[0-9]+`, `/(a|b)`): none of it may stand in one as it is. */
const EXPRESSION = /^\s*[~^]|[\\|^]|\[[^[\]]*-/;

function checkPath(written: string, example: string): void {
  if (EXPRESSION.test(written)) {
    const cure = `Write how paths begin, ${example}, or a route for each`;
    throw bad(written, "is a regular expression, and paths are compared as they are", cure);
  }
  if (/^\*./.test(written)) {
    const reason = "is about how a path ends, and is compared with how one begins";
    throw bad(written, reason, `Write for example ${example}`);
  }
  if (!written.startsWith("/")) {
    throw bad(written, "does not begin with /", `Write /${written}`);
  }
  if (/[?#]/.test(written)) {
    throw bad(
      written,
      "holds a query or a fragment, which is no part of a path",
      `Write ${example}`,
    );
  }
  if (!PATH.test(written)) {
    const cure = `Write it percent-encoded: ${encodeURI(written)}`;
    throw bad(written, "holds a character that a path may not have", cure);
  }
  if (written.includes("%00")) {
    throw bad(written, "holds a zero byte, and no request's path may", "Leave %00 out");
  }
  if (climbs(written)) {
    const reason = "leads above the root for who takes %2F, \\ and ; as separators, and is refused";
    throw bad(written, reason, "Leave the segments with .. out");
  }
  // As requests are compared: RFC 3986 section 5.2.4, and nginx's merge_slashes.
  const plain = new URL(`http://a${written}`).pathname.replace(/\/{2,}/g, "/");
  if (plain !== written) {
    throw bad(
      written,
      "has segments that are empty or dots, and no request's path has",
      `Write ${plain}`,
    );
  }
}

/** Whether `..` leads above the root in the loosest reading that a target may have: the gateway refuses such requests. */
function climbs(written: string): boolean {
  const decoded = written.replace(/%(..)/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  let depth = 0;
  for (const segment of decoded.split(/[/\\]/)) {
    const name = segment.replace(/;.*/s, "");
    if (name === "..") depth--;
    else if (name !== "" && name !== ".") depth++;
    if (depth < 0) return true;
  }
  return false;
}

/** A path, or with a `*` at its end every path that begins so. */
export function pathPattern(description: string) {
  return scalar(
    (value): string => {
      const written = String(value);
      checkPath(written, "/v1/*");
      const star = written.indexOf("*");
      if (star >= 0 && star < written.length - 1) {
        const cure = `Write ${written.slice(0, star + 1)}, or a route for each`;
        throw bad(written, "has a * before its end", cure);
      }
      return written;
    },
    "text",
    { description, type: "string", pattern: "^/[^*?#]*\\*?$", examples: ["/v1/*", "/health"] },
  );
}

/** The beginning of a path, of whole segments. `/` at its end is left out. */
export function pathPrefix(description: string) {
  return scalar(
    (value): string => {
      const written = String(value);
      checkPath(written, "/v1");
      if (written.includes("*")) {
        throw bad(
          written,
          "holds a *, and is no pattern",
          `Write ${written.replace(/\/?\*.*$/, "") || "/v1"}`,
        );
      }
      const prefix = written.replace(/\/+$/, "");
      if (prefix === "") throw bad(written, "changes nothing", "Write for example /v1");
      return prefix;
    },
    "text",
    { description, type: "string", pattern: "^/[^*?#]+$", examples: ["/v1"] },
  );
}

/** An origin as browsers send it (RFC 6454 section 6.2), or `*`. */
export function origin(description: string) {
  return scalar(
    (value): string => {
      const written = String(value);
      if (written === "*") return written;
      const url = URL.canParse(written) ? new URL(written) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol)) {
        throw bad(written, "is not an origin", "Write for example https://app.example.com");
      }
      if (url.origin !== written) {
        throw bad(written, "is not as browsers send it", `Write ${url.origin}`);
      }
      return written;
    },
    "text",
    { description, type: "string", pattern: "^(\\*|https?://[^/]+)$" },
  );
}

const PLACEHOLDERS: readonly string[] = ["{host}", "{path}", "{scheme}"];

/** An absolute URL, or a path, of which {host}, {path} and {scheme} stand for the request's. */
export function redirectTarget(description: string) {
  return scalar((value) => parseRedirect(String(value)), "text", {
    description,
    type: "string",
    pattern: "^([a-z]+://|\\{scheme\\}://|/)[^\\s]*$",
    examples: ["https://{host}", "https://new.example.com", "/new"],
  });
}

function parseRedirect(written: string): string {
  const example = "Write for example https://new.example.com or https://{host}{path}";
  const unknown = (written.match(/\{[^{}]*\}/g) ?? []).find((name) => !PLACEHOLDERS.includes(name));
  if (unknown !== undefined) {
    throw bad(written, `holds ${unknown}`, `Known here: ${PLACEHOLDERS.join(", ")}`);
  }
  const rest = written.replace(/\{(host|path|scheme)\}/g, "");
  if (/[{}]/.test(rest)) throw bad(written, "holds a brace that is not closed", example);
  if (/[^\x21-\x7e]|["<>\\^`|]/.test(rest)) {
    const cure = "Write it percent-encoded";
    throw bad(written, "holds a character that a URL may not have", cure);
  }
  if (!/^(https?:\/\/|\{scheme\}:\/\/|\/(?!\/))/i.test(written)) {
    const cure = /^[\w.-]+(:\d+)?(\/|$)/.test(written) ? `Write https://${written}` : example;
    throw bad(written, "is neither a URL of http or https nor a path", cure);
  }
  if (!written.startsWith("/")) checkAuthority(written, example);
  return written;
}

/** What a client asks for must not choose the host that it is sent to, other than its own. */
function checkAuthority(written: string, example: string): void {
  const authority = /^[^/]*:\/\/(.*?)(\/|\?|#|\{path\}|$)/.exec(written)![1]!;
  const host = authority.replace(/:\d{1,5}$/, "");
  const fits =
    host === "{host}" ||
    (!host.includes("{") && host !== "" && URL.canParse(`http://${authority}`));
  if (!fits) throw bad(written, `has "${authority}" for a host`, example);
}
