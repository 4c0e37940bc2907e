// Memory whose address may be kept. JavaScriptCore moves the bytes of a typed array of up to 1,000 elements when it compiles
// code that uses it (seen in Bun 1.4.5: after some 5,000 calls the address from `ptr` pointed at freed memory). An array over
// an ArrayBuffer stays where it is. Called wherever an address outlives the call that it was made for.

/** `length` zeroed 32-bit integers that stay in place as long as the array is referenced. */
export function pinnedInt32(length: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT));
}

/** `length` zeroed bytes that stay in place as long as the array is referenced. */
export function pinnedBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}
