// Linux's numbers for the calls in libc.ts, from the kernel's uapi headers. They are the same on x86-64 and arm64, except
// the layout of struct epoll_event, which is packed on x86-64 only (epoll_ctl(2)).

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const IPPROTO_TCP = 6;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_INFO = 11;
/** tcpi_state, the first byte of struct tcp_info: include/net/tcp_states.h */
export const TCP_SYN_SENT = 2;
export const SO_PEERCRED = 17;
export const SO_RCVTIMEO = 20;
export const SO_MEMINFO = 55;
export const SO_ACCEPTCONN = 30;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;

export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_PEEK = 2;
export const SHUT_WR = 1;

export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_SETPIPE_SZ = 1031;
export const F_DUPFD_CLOEXEC = 1030;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

export const SPLICE_F_MOVE = 1;
export const SPLICE_F_NONBLOCK = 2;

export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 0x001;
export const EPOLLPRI = 0x002;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 1 << 28;
/** 1 << 31, negative as the kernel's u32 read as an i32. */
export const EPOLLET = -0x80000000;

export const POLLOUT = 0x004;

export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;

export const RLIMIT_NOFILE = 7;
export const CLOCK_MONOTONIC = 1;

/** struct epoll_event { uint32_t events; epoll_data_t data; } in 32-bit words. */
export const EPOLL_EVENT_WORDS = process.arch === "x64" ? 3 : 4;
/** The word where `data` begins. */
export const EPOLL_DATA_WORD = process.arch === "x64" ? 1 : 2;
