// Content types of gRPC-Web and of gRPC: which is which, and what becomes of which. Pure; filter.ts and stream.ts call it.

const GRPC = "application/grpc";
const WEB = "application/grpc-web";
const TEXT = "application/grpc-web-text";

/** What a client of gRPC-Web sends, and what it takes. */
export interface WebType {
  /** `+proto`, `+json`; empty if none was named, which means protobuf. */
  readonly suffix: string;
  /** The request is Base64. */
  readonly text: boolean;
  /** The answer is to be. */
  readonly textAnswer: boolean;
}

/** @returns what follows `base`, if that is empty or begins with `+`; otherwise null. */
function suffixOf(type: string, base: string): string | null {
  if (!type.startsWith(base)) return null;
  const suffix = type.slice(base.length);
  return suffix === "" || suffix.startsWith("+") ? suffix : null;
}

function withoutParameters(value: string): string {
  const end = value.indexOf(";");
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}

/**
 * @param contentType the request's; null without one.
 * @param accept the request's: text is for those who ask for it there, and for those who send it and ask for nothing.
 * @returns null if this is not gRPC-Web.
 */
export function webTypeOf(contentType: string | null, accept: string | null): WebType | null {
  if (contentType === null) return null;
  const type = withoutParameters(contentType);
  const textSuffix = suffixOf(type, TEXT);
  const suffix = textSuffix ?? suffixOf(type, WEB);
  if (suffix === null) return null;
  const text = textSuffix !== null;
  const wanted = (accept ?? "").toLowerCase();
  const named = wanted.includes(WEB);
  return { suffix, text, textAnswer: named ? wanted.includes(TEXT) : text };
}

/** What the backend is sent. */
export function grpcTypeOf({ suffix }: WebType): string {
  return GRPC + suffix;
}

/** @param contentType of the backend's answer. @returns what the client is sent; null if this is no gRPC. */
export function webAnswerType(contentType: string | null, { textAnswer }: WebType): string | null {
  if (contentType === null) return null;
  const suffix = suffixOf(withoutParameters(contentType), GRPC);
  return suffix === null ? null : (textAnswer ? TEXT : WEB) + suffix;
}
