// The C library's symbols that the data plane calls, each beside its C declaration. No policy: what a result means is the
// caller's. A call returns -1 on failure, and `errno()` right after it tells why, before any other call.
//
// Sizes (size_t) and counts (ssize_t) are declared as 32 bits: the registers are the same, every size here is below 2^31,
// and a 64-bit conversion costs 20 ns a call.

import { dlopen, type Pointer, read } from "bun:ffi";

import { messageOf, ProxyError } from "../shared/errors.ts";

const SYMBOLS = {
  // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen, int flags)
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp)
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  // int close(int fd)
  close: { args: ["i32"], returns: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // int epoll_create1(int flags)
  epoll_create1: { args: ["i32"], returns: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  // int eventfd(unsigned int initval, int flags)
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  // int fcntl(int fd, int cmd, ... arg): variadic, but an int travels in the same register on Linux's ABIs
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  // int getrlimit(int resource, struct rlimit *rlim)
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  // int getpeername(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen)
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  // int listen(int sockfd, int backlog)
  listen: { args: ["i32", "i32"], returns: "i32" },
  // int pipe2(int pipefd[2], int flags)
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout)
  poll: { args: ["ptr", "u32", "i32"], returns: "i32" },
  // ssize_t read(int fd, void *buf, size_t count)
  read: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags)
  recv: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags)
  send: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  // ssize_t sendmsg(int sockfd, const struct msghdr *msg, int flags)
  sendmsg: { args: ["i32", "ptr", "i32"], returns: "i32" },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags, const struct sockaddr *dest_addr, socklen_t addrlen)
  sendto: { args: ["i32", "ptr", "u32", "i32", "ptr", "u32"], returns: "i32" },
  // int setrlimit(int resource, const struct rlimit *rlim)
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen)
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  // int shutdown(int sockfd, int how)
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  // int socket(int domain, int type, int protocol)
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  // ssize_t splice(int fd_in, off_t *off_in, int fd_out, off_t *off_out, size_t len, unsigned int flags)
  splice: { args: ["i32", "ptr", "i32", "ptr", "u32", "u32"], returns: "i32" },
  // ssize_t tee(int fd_in, int fd_out, size_t len, unsigned int flags)
  tee: { args: ["i32", "i32", "u32", "u32"], returns: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count)
  write: { args: ["i32", "ptr", "u32"], returns: "i32" },
  // int *__errno_location(void): the calling thread's errno
  __errno_location: { args: [], returns: "ptr" },
} as const;

/** glibc, then musl under the names that Alpine gives it. */
const LIBRARIES = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
  "libc.so",
];

type Symbols = Parameters<typeof dlopen>[1];
type Functions<T extends Symbols> = ReturnType<typeof dlopen<T>>["symbols"];

/**
 * The C library's functions under these names. Elsewhere than on Linux a use of one throws ERR_ENGINE, so that a module may
 * import them on any platform.
 */
export function openLibc<T extends Symbols>(symbols: T): Functions<T> {
  if (process.platform !== "linux") return unavailable<T>();
  const reasons: string[] = [];
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, symbols).symbols;
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  throw new ProxyError("ERR_ENGINE", `no C library could be opened: ${reasons.join("; ")}`);
}

function unavailable<T extends Symbols>(): Functions<T> {
  const refuse = (): never => {
    const problem = `Linux system calls are not available on ${process.platform}`;
    throw new ProxyError("ERR_ENGINE", problem);
  };
  return new Proxy({} as Functions<T>, { get: refuse });
}

/** What the data plane calls. */
export const libc = openLibc(SYMBOLS);

let errnoLocation: Pointer | null = null;

/** The error number of the call just made in this thread. Each worker has its own copy of this module, so its own location. */
export function errno(): number {
  errnoLocation ??= libc.__errno_location() as Pointer;
  return read.i32(errnoLocation, 0);
}
