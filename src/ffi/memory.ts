// Addresses of typed arrays for system calls, and memory whose address may be kept from one call to the next.
//
// JavaScriptCore moves the bytes of a typed array of up to 1,000 elements when it compiles code that uses it (seen in Bun
// 1.4.5: after some 5,000 calls a kept address pointed at freed memory). An array over an ArrayBuffer stays where it is. And
// an array that no function refers to any more is collected: whoever keeps its address keeps the array.

import { type Pointer, toArrayBuffer } from "bun:ffi";

export { type Pointer, ptr as addressOf } from "bun:ffi";

/** `length` zeroed 32-bit integers that stay in place as long as the array is referenced. */
export function pinnedInt32(length: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT));
}

/** `length` zeroed bytes that stay in place as long as the array is referenced. */
export function pinnedBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** Memory that is not JavaScript's own (mmap(2)). It must not be used after it is given back. */
export function viewOf(address: Pointer, bytes: number): ArrayBuffer {
  return toArrayBuffer(address, 0, bytes);
}
