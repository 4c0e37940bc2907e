// The few functions of OpenSSL's libssl that a client's handshake takes. Called by handshakes.ts.

import { dlopen, type Pointer } from "bun:ffi";

const symbols = () =>
  dlopen("libssl.so.3", {
    TLS_client_method: { args: [], returns: "ptr" }, // const SSL_METHOD *(void)
    SSL_CTX_new: { args: ["ptr"], returns: "ptr" }, // SSL_CTX *(const SSL_METHOD *)
    SSL_CTX_ctrl: { args: ["ptr", "i32", "i64", "ptr"], returns: "i64" }, // long (SSL_CTX *, int, long, void *)
    SSL_CTX_set_ciphersuites: { args: ["ptr", "cstring"], returns: "i32" }, // int (SSL_CTX *, const char *)
    SSL_new: { args: ["ptr"], returns: "ptr" }, // SSL *(SSL_CTX *)
    SSL_set_fd: { args: ["ptr", "i32"], returns: "i32" }, // int (SSL *, int)
    SSL_connect: { args: ["ptr"], returns: "i32" }, // int (SSL *)
    SSL_get_error: { args: ["ptr", "i32"], returns: "i32" }, // int (const SSL *, int)
    SSL_session_reused: { args: ["ptr"], returns: "i32" }, // int (const SSL *)
    SSL_shutdown: { args: ["ptr"], returns: "i32" }, // int (SSL *)
    SSL_free: { args: ["ptr"], returns: "void" }, // void (SSL *)
  }).symbols;

/** Addresses come as numbers. */
function pointer(value: Pointer | bigint | null, call: string): Pointer {
  if (value === null) throw new Error(`${call} failed`);
  return Number(value) as Pointer;
}

const SSL_ERROR_WANT_READ = 2;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const TLS1_3_VERSION = 0x0304;

export class TlsClient {
  readonly #ssl = symbols();
  readonly #context: Pointer;

  /** TLS 1.3 with one suite: what a server would choose differs by more than the servers do. */
  constructor() {
    const method = this.#ssl.TLS_client_method();
    const context = pointer(this.#ssl.SSL_CTX_new(method), "SSL_CTX_new");
    this.#context = context;
    this.#ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, null);
    this.#ssl.SSL_CTX_set_ciphersuites(context, Buffer.from("TLS_AES_128_GCM_SHA256\0"));
  }

  /** @param fd non-blocking. A new SSL has no session, so its handshake is a full one. */
  open(fd: number): Pointer {
    const ssl = pointer(this.#ssl.SSL_new(this.#context), "SSL_new");
    this.#ssl.SSL_set_fd(ssl, fd);
    return ssl;
  }

  /** @returns false while the server's part is awaited. @throws if the handshake fails. */
  handshake(ssl: Pointer): boolean {
    const result = this.#ssl.SSL_connect(ssl);
    if (result === 1) {
      if (this.#ssl.SSL_session_reused(ssl) !== 0) throw new Error("a session was resumed");
      return true;
    }
    const error = this.#ssl.SSL_get_error(ssl, result);
    if (error !== SSL_ERROR_WANT_READ) throw new Error(`the handshake failed: SSL error ${error}`);
    return false;
  }

  /** Sends close_notify. */
  end(ssl: Pointer): void {
    this.#ssl.SSL_shutdown(ssl);
  }

  free(ssl: Pointer): void {
    this.#ssl.SSL_free(ssl);
  }
}
