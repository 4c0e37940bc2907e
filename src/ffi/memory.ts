// Addresses of typed arrays for system calls. The array must stay referenced as long as the kernel may use its memory.

export { type Pointer, ptr as addressOf } from "bun:ffi";
