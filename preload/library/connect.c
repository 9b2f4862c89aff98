// SPDX-License-Identifier: MIT
// Theory of operation: a connect that is not ours leaves as early as it can. For the others this
// file is the state machine of inet_stream_connect in the kernel's net/ipv4/af_inet.c: pending,
// connected and told, failed and told. A failure that connect() itself reports leaves a socket that
// is as good as new, so then the stream makes room for a TCP socket again.
#include "preload/library/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/library/adopt.h"
#include "preload/library/dial.h"
#include "preload/library/fds.h"
#include "preload/library/log.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/settle.h"
#include "preload/library/target.h"
#include "preload/library/user_memory.h"

// TCP_INFO's first byte is the state, and nothing but TCP has the option: one call tells both.
static bool is_unconnected_tcp(int fd)
{
	uint8_t state = 0;
	socklen_t size = sizeof(state);

	return real_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) == 0 && state == TCP_CLOSE;
}

// An address of the other family, and IPv4 on an IPv6-only socket, are for the kernel to refuse.
static bool fits_socket(int fd, const struct target *target)
{
	int domain = 0, is_only = 0;
	socklen_t size = sizeof(domain);

	if (real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
		domain != target->domain)
		return false;
	if (domain == AF_INET || target->peer.family == ADDRESS_IPV6)
		return true;
	size = sizeof(is_only);
	return real_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_only, &size) == 0 && !is_only;
}

static bool is_nonblocking(int fd)
{
	return real_fcntl(fd, F_GETFL) & O_NONBLOCK;
}

// A connect that waited has something to report.
static int report(int fd, struct socket_entry *entry, int result)
{
	if (result == -EINPROGRESS || result == -EINTR || result == -EBADF)
		return result;
	atomic_fetch_or(&entry->flags, SOCKET_FLAG_CONNECT_TOLD);
	if (result < 0) {
		int dissolved = dial_dissolve(fd, entry);
		if (dissolved < 0 && dissolved != -EBADF)
			log_line(SETTINGS_LOG_WARN,
				"a failed connect's socket could not be renewed");
	}
	return result;
}

static int connect_first(int fd, const struct target *target)
{
	struct socket_entry *entry = NULL;
	bool is_waiting = !is_nonblocking(fd);
	int result = dial_replace(fd, target, &entry);

	if (result < 0)
		return result;
	return is_waiting ? report(fd, entry, settle_wait(fd, entry)) : -EINPROGRESS;
}

// connect() on a stream.
static int connect_again(int fd, struct socket_entry *entry)
{
	uint32_t told;
	int error;

	switch (settle_look(fd, entry)) {
	case SOCKET_PHASE_OPEN:
		told = atomic_fetch_or(&entry->flags, SOCKET_FLAG_CONNECT_TOLD);
		return told & SOCKET_FLAG_CONNECT_TOLD ? -EISCONN : 0;
	case SOCKET_PHASE_FAILED:
		error = settle_take_error(entry);
		return report(fd, entry, error ? -error : -ECONNABORTED);
	default:
		return is_nonblocking(fd) ? -EALREADY : report(fd, entry, settle_wait(fd, entry));
	}
}

static int refuse(const struct target *target, enum target_verdict verdict)
{
	char text[NAME_SIZE + 16];

	target_format(target, text, sizeof(text));
	if (verdict == TARGET_NAMELESS) {
		log_line(SETTINGS_LOG_WARN, "connect to ", text,
			" failed: no name was ever looked up for this pool address");
		return -ENETUNREACH;
	}
	log_line(SETTINGS_LOG_WARN, "connect to ", text, " denied by the enclave's routes");
	return -EACCES;
}

int connect_route(int fd, const struct sockaddr *address, socklen_t length)
{
	struct sockaddr_storage copy = {.ss_family = AF_UNSPEC};
	struct socket_entry *entry;
	enum target_verdict verdict;
	struct target target;

	if (length < sizeof(sa_family_t) || length > sizeof(copy) ||
		user_memory_read(&copy, address, length) < 0)
		return CONNECT_TO_KERNEL;
	if (copy.ss_family != AF_INET && copy.ss_family != AF_INET6 && copy.ss_family != AF_UNSPEC)
		return CONNECT_TO_KERNEL;
	entry = fds_find_unless_plain(fd);
	if (!entry && fork_guard_has_forked() && adopt_stream_slowly(fd))
		entry = fds_find(fd);
	if (entry)
		return copy.ss_family == AF_UNSPEC ? dial_dissolve(fd, entry)
						   : connect_again(fd, entry);
	if (copy.ss_family == AF_UNSPEC)
		return CONNECT_TO_KERNEL;
	verdict = target_decide(&copy, length, &target);
	if (verdict == TARGET_TO_KERNEL || !is_unconnected_tcp(fd) || !fits_socket(fd, &target))
		return CONNECT_TO_KERNEL;
	return verdict == TARGET_DIAL ? connect_first(fd, &target) : refuse(&target, verdict);
}

int airlock_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int saved_errno = errno;
	int result = connect_route(fd, address, length);

	if (result == CONNECT_TO_KERNEL) {
		errno = saved_errno;
		return real_connect(fd, address, length);
	}
	return (int)result_return(result, saved_errno);
}
