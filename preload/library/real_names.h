// SPDX-License-Identifier: MIT
// Included before everything else when wire/ and preload/shared/ are compiled for the library (see
// the Makefile): the calls that the library interposes then mean libc's own functions. The headers
// that declare them come first, so that no declaration is renamed.
#ifndef AIRLOCK_PRELOAD_REAL_NAMES_H
#define AIRLOCK_PRELOAD_REAL_NAMES_H

#include "preload/library/real.h"

#define connect     real_connect
#define send        real_send
#define sendto      real_sendto
#define sendmsg     real_sendmsg
#define sendmmsg    real_sendmmsg
#define write       real_write
#define writev      real_writev
#define recv        real_recv
#define recvfrom    real_recvfrom
#define recvmsg     real_recvmsg
#define recvmmsg    real_recvmmsg
#define read        real_read
#define readv       real_readv
#define sendfile    real_sendfile
#define splice      real_splice
#define getpeername real_getpeername
#define getsockname real_getsockname
#define getsockopt  real_getsockopt
#define setsockopt  real_setsockopt
#define ioctl       real_ioctl
#define shutdown    real_shutdown
#define epoll_ctl   real_epoll_ctl
#define dup         real_dup
#define dup2        real_dup2
#define dup3        real_dup3
#define fcntl       real_fcntl
#define syscall     real_syscall
#define getaddrinfo real_getaddrinfo
#define getnameinfo real_getnameinfo

#endif
