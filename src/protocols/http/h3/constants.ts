// The numbers of HTTP/3 and QPACK: frame types, stream types, settings and error codes (RFC 9114 sections 7, 6.2 and 8, RFC 9204,
// RFC 9220).

export const DATA = 0x00;
export const HEADERS = 0x01;
export const CANCEL_PUSH = 0x03;
export const SETTINGS = 0x04;
export const PUSH_PROMISE = 0x05;
export const GOAWAY = 0x07;
export const MAX_PUSH_ID = 0x0d;

/** Types that HTTP/2 has and HTTP/3 has not: an error wherever they come (section 7.2.8). */
export function isReservedFrame(type: number): boolean {
  return type === 0x02 || type === 0x06 || type === 0x08 || type === 0x09;
}

export const CONTROL_STREAM = 0x00;
export const PUSH_STREAM = 0x01;
export const QPACK_ENCODER_STREAM = 0x02;
export const QPACK_DECODER_STREAM = 0x03;

export const SETTINGS_MAX_FIELD_SECTION_SIZE = 0x06;
export const SETTINGS_ENABLE_CONNECT_PROTOCOL = 0x08;

/** Settings of HTTP/2 that HTTP/3 has not (section 7.2.4.1). */
export function isReservedSetting(id: number): boolean {
  return id === 0x00 || (id >= 0x02 && id <= 0x05);
}

export const H3_NO_ERROR = 0x100;
export const H3_GENERAL_PROTOCOL_ERROR = 0x101;
export const H3_INTERNAL_ERROR = 0x102;
export const H3_STREAM_CREATION_ERROR = 0x103;
export const H3_CLOSED_CRITICAL_STREAM = 0x104;
export const H3_FRAME_UNEXPECTED = 0x105;
export const H3_FRAME_ERROR = 0x106;
export const H3_EXCESSIVE_LOAD = 0x107;
export const H3_ID_ERROR = 0x108;
export const H3_SETTINGS_ERROR = 0x109;
export const H3_MISSING_SETTINGS = 0x10a;
export const H3_REQUEST_REJECTED = 0x10b;
export const H3_REQUEST_CANCELLED = 0x10c;
export const H3_REQUEST_INCOMPLETE = 0x10d;
export const H3_MESSAGE_ERROR = 0x10e;
export const H3_CONNECT_ERROR = 0x10f;
export const H3_VERSION_FALLBACK = 0x110;
export const QPACK_DECOMPRESSION_FAILED = 0x200;
export const QPACK_ENCODER_STREAM_ERROR = 0x201;
export const QPACK_DECODER_STREAM_ERROR = 0x202;

const NAMES: Readonly<Record<number, string>> = {
  [H3_NO_ERROR]: "H3_NO_ERROR",
  [H3_GENERAL_PROTOCOL_ERROR]: "H3_GENERAL_PROTOCOL_ERROR",
  [H3_INTERNAL_ERROR]: "H3_INTERNAL_ERROR",
  [H3_STREAM_CREATION_ERROR]: "H3_STREAM_CREATION_ERROR",
  [H3_CLOSED_CRITICAL_STREAM]: "H3_CLOSED_CRITICAL_STREAM",
  [H3_FRAME_UNEXPECTED]: "H3_FRAME_UNEXPECTED",
  [H3_FRAME_ERROR]: "H3_FRAME_ERROR",
  [H3_EXCESSIVE_LOAD]: "H3_EXCESSIVE_LOAD",
  [H3_ID_ERROR]: "H3_ID_ERROR",
  [H3_SETTINGS_ERROR]: "H3_SETTINGS_ERROR",
  [H3_MISSING_SETTINGS]: "H3_MISSING_SETTINGS",
  [H3_REQUEST_REJECTED]: "H3_REQUEST_REJECTED",
  [H3_REQUEST_CANCELLED]: "H3_REQUEST_CANCELLED",
  [H3_REQUEST_INCOMPLETE]: "H3_REQUEST_INCOMPLETE",
  [H3_MESSAGE_ERROR]: "H3_MESSAGE_ERROR",
  [H3_CONNECT_ERROR]: "H3_CONNECT_ERROR",
  [H3_VERSION_FALLBACK]: "H3_VERSION_FALLBACK",
  [QPACK_DECOMPRESSION_FAILED]: "QPACK_DECOMPRESSION_FAILED",
  [QPACK_ENCODER_STREAM_ERROR]: "QPACK_ENCODER_STREAM_ERROR",
  [QPACK_DECODER_STREAM_ERROR]: "QPACK_DECODER_STREAM_ERROR",
};

/** For people. */
export function errorName(code: number): string {
  return NAMES[code] ?? `0x${code.toString(16)}`;
}
