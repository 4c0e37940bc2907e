// A configuration file to a Source, or an error that holds all of its syntax problems. Called by the commands.

import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";

import { messageOf, ProxyError } from "../shared/errors.ts";
import { readDocument } from "./document.ts";
import { problemsError, type Source } from "./problems.ts";
import { formatSize } from "./units.ts";

/** A configuration of ten thousand listeners fits; a disk image does not, and a device has no end. */
const FILE_BYTES_MAX = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/**
 * @throws ProxyError ERR_CONFIG if the file cannot be read or is not YAML.
 */
export async function loadSource(file: string): Promise<Source> {
  return parseSource(await readBytes(file), file);
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readUpTo(file, FILE_BYTES_MAX + 1);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT")
      throw new ProxyError("ERR_CONFIG", `${file}: there is no such file`, { cause });
    if (code === "EISDIR")
      throw new ProxyError("ERR_CONFIG", `${file}: is a folder, not a file`, { cause });
    if (code === "EACCES")
      throw new ProxyError("ERR_CONFIG", `${file}: may not be read by this user`, { cause });
    throw new ProxyError("ERR_CONFIG", `${file}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** Reads to the end, or to the limit: the size of a pipe or a device is not known before. */
async function readUpTo(file: string, limit: number): Promise<Uint8Array> {
  await using handle = await open(file);
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, limit - length));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
  return Buffer.concat(chunks);
}

/**
 * @param file names the content in messages.
 * @throws ProxyError ERR_CONFIG with a line for each syntax problem.
 */
export function parseSource(content: Uint8Array | string, file: string): Source {
  const text = typeof content === "string" ? content : decode(content, file);
  const read = readDocument(text.replace(/^\uFEFF/, ""), file);
  if ("problems" in read) throw problemsError("ERR_CONFIG", read.problems);
  if (read.source.value === null || read.source.value === undefined) {
    throw new ProxyError("ERR_CONFIG", `${file}:1:1: is empty`, {
      cure: 'Write "protocols:" and one entry for each listener',
    });
  }
  return read.source;
}

function decode(bytes: Uint8Array, file: string): string {
  if (bytes.length > FILE_BYTES_MAX) {
    throw new ProxyError(
      "ERR_CONFIG",
      `${file}: is larger than ${formatSize(FILE_BYTES_MAX)}, the most that a configuration may have`,
    );
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new ProxyError("ERR_CONFIG", `${file}:1:1: is written in UTF-16`, {
      cure: "Save it as UTF-8",
    });
  }
  const text = new TextDecoder("utf-8").decode(bytes);
  if (!isUtf8(bytes)) {
    const before = text.slice(0, text.indexOf("\uFFFD")).split("\n");
    const place = `${file}:${before.length}:${before.at(-1)!.length + 1}`;
    throw new ProxyError("ERR_CONFIG", `${place}: is not UTF-8 text`, { cure: "Save it as UTF-8" });
  }
  return text;
}
