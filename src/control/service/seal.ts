// How a file of `proxy service install` is known again: its last line is a comment with the digest of what stands above it. Only
// what is still as it was written is replaced or removed without -force.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import type { ServiceFile, ServiceManager } from "./service.ts";

/** absent: there is none. ours: as it was written. edited: changed since. foreign: written by somebody else. */
export type FileState = "absent" | "ours" | "edited" | "foreign";

const WORDS = "written by proxy service install, sha256";
const BYTE_ORDER_MARK = "\uFEFF";

export function seal(text: string, [begin, end]: ServiceManager["comment"]): string {
  return `${text}${begin}${WORDS} ${digest(text)}${end}\n`;
}

export function stateOf(text: string | null): FileState {
  if (text === null) return "absent";
  const found = new RegExp(`^([^]*\n)[^\n]*${WORDS} ([0-9a-f]{64})[^\n]*\n$`).exec(text);
  if (found === null) return text.includes(WORDS) ? "edited" : "foreign";
  return digest(found[1]!) === found[2] ? "ours" : "edited";
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** @returns null: there is none. @throws ProxyError ERR_SYSTEM */
export function readServiceFile({ path, encoding }: Omit<ServiceFile, "text">): string | null {
  try {
    const text = readFileSync(path, encoding);
    return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT" || errnoOf(cause) === "ENOTDIR") return null;
    throw failed("read", path, cause);
  }
}

/** In one step: a manager never sees half of it. @throws ProxyError ERR_SYSTEM */
export function writeServiceFile({ path, text, encoding }: ServiceFile): void {
  const draft = join(dirname(path), `.proxy-service-${process.pid}`);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const mark = encoding === "utf16le" ? BYTE_ORDER_MARK : "";
    writeFileSync(draft, mark + text, { encoding, mode: 0o644 });
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw failed("written", path, cause);
  }
}

/** @throws ProxyError ERR_SYSTEM */
export function removeServiceFile({ path }: Pick<ServiceFile, "path">): void {
  try {
    rmSync(path);
  } catch (cause) {
    throw failed("removed", path, cause);
  }
}

function failed(what: string, path: string, cause: unknown): ProxyError {
  return new ProxyError("ERR_SYSTEM", `${path} cannot be ${what}: ${messageOf(cause)}`, { cause });
}
