// SPDX-License-Identifier: MIT
// The records themselves: taking them from a TCP socket, keeping them, setting them again.
#include "preload/library/options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "preload/library/real.h"
#include "preload/library/swap.h"

#define RECORD_HEADER 3
#define VALUE_MAX     64

struct record {
	int level;
	int name;
	socklen_t length;
	const uint8_t *value;
};

// Reads the record at offset; returns the offset behind it, 0 at the end.
static uint32_t next_record(
	const struct option_records *records, uint32_t offset, struct record *record)
{
	const uint8_t *bytes = records->bytes + offset;

	if (offset + RECORD_HEADER > records->length)
		return 0;
	*record = (struct record){bytes[0], bytes[1], bytes[2], bytes + RECORD_HEADER};
	offset += RECORD_HEADER + record->length;
	return offset <= records->length ? offset : 0;
}

static void remove_record(struct option_records *records, int level, int name)
{
	struct record record;
	uint32_t offset = 0, next;

	while ((next = next_record(records, offset, &record)) != 0) {
		if (record.level == level && record.name == name) {
			memmove(records->bytes + offset, records->bytes + next,
				records->length - next);
			records->length -= next - offset;
			return;
		}
		offset = next;
	}
}

void options_record(
	struct option_records *records, int level, int name, const void *value, socklen_t length)
{
	uint8_t *end;

	if (level < 0 || level > UINT8_MAX || name < 0 || name > UINT8_MAX)
		return;
	remove_record(records, level, name);
	if (length > VALUE_MAX || length + RECORD_HEADER > sizeof(records->bytes) - records->length)
		return;
	end = records->bytes + records->length;
	end[0] = (uint8_t)level;
	end[1] = (uint8_t)name;
	end[2] = (uint8_t)length;
	memcpy(end + RECORD_HEADER, value, length);
	records->length += RECORD_HEADER + length;
}

void options_load(const struct socket_entry *entry, struct option_records *records)
{
	records->length = atomic_load_explicit(&entry->option_length, memory_order_acquire);
	if (records->length > sizeof(records->bytes))
		records->length = 0;
	memcpy(records->bytes, entry->options, records->length);
}

void options_store(struct socket_entry *entry, const struct option_records *records)
{
	memcpy(entry->options, records->bytes, records->length);
	atomic_store_explicit(&entry->option_length, records->length, memory_order_release);
}

// --- capture

struct known_option {
	int level;
	int name;
	int usual; // what a fresh socket has where no sysctl says otherwise; a needless record does
		   // no harm
};

static const struct known_option known_options[] = {
	{SOL_SOCKET, SO_REUSEADDR, 0},
	{SOL_SOCKET, SO_REUSEPORT, 0},
	{SOL_SOCKET, SO_KEEPALIVE, 0},
	{SOL_SOCKET, SO_DONTROUTE, 0},
	{SOL_SOCKET, SO_BROADCAST, 0},
	{SOL_SOCKET, SO_OOBINLINE, 0},
	{SOL_SOCKET, SO_PRIORITY, 0},
	{SOL_SOCKET, SO_RCVLOWAT, 1},
	{SOL_SOCKET, SO_TIMESTAMP, 0},
	{SOL_SOCKET, SO_MARK, 0},
	{SOL_SOCKET, SO_BUSY_POLL, 0},
	{IPPROTO_TCP, TCP_NODELAY, 0},
	{IPPROTO_TCP, TCP_CORK, 0},
	{IPPROTO_TCP, TCP_KEEPIDLE, 7200},
	{IPPROTO_TCP, TCP_KEEPINTVL, 75},
	{IPPROTO_TCP, TCP_KEEPCNT, 9},
	{IPPROTO_TCP, TCP_SYNCNT, 6},
	{IPPROTO_TCP, TCP_LINGER2, 60},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, 0},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, 0},
	{IPPROTO_TCP, TCP_QUICKACK, 1},
	{IPPROTO_TCP, TCP_MAXSEG, 536},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0},
	{IPPROTO_TCP, TCP_FASTOPEN, 0},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0},
	{IPPROTO_IP, IP_TOS, 0},
	{IPPROTO_IP, IP_TTL, 64},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT},
	{IPPROTO_IP, IP_RECVERR, 0},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0},
	{IPPROTO_IPV6, IPV6_V6ONLY, 0},
	{IPPROTO_IPV6, IPV6_TCLASS, 0},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64},
	{IPPROTO_IPV6, IPV6_RECVERR, 0},
};

static void capture_numbers(int fd, struct option_records *records)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_options); i++) {
		const struct known_option *option = &known_options[i];
		int value;
		socklen_t size = sizeof(value);

		if (real_getsockopt(fd, option->level, option->name, &value, &size) == 0 &&
			size == sizeof(value) && value != option->usual)
			options_record(records, option->level, option->name, &value, size);
	}
}

// getsockopt() gives twice what was set (socket(7)), and SO_BUF_LOCK whether anything was.
static void capture_buffer_sizes(int fd, struct option_records *records)
{
	static const int names[] = {SO_SNDBUF, SO_RCVBUF}; // in the order of SO_BUF_LOCK's bits
	int locks = 0, value;
	socklen_t size = sizeof(locks);

	if (real_getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &size) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size = sizeof(value);
		if (!(locks & (1 << i)) ||
			real_getsockopt(fd, SOL_SOCKET, names[i], &value, &size) < 0)
			continue;
		value /= 2;
		options_record(records, SOL_SOCKET, names[i], &value, sizeof(value));
	}
}

static void capture_bytes(int fd, int level, int name, socklen_t size, bool has_zero_default,
	struct option_records *records)
{
	static const uint8_t zeros[VALUE_MAX];
	uint8_t value[VALUE_MAX] = {0};
	socklen_t length = size;

	if (real_getsockopt(fd, level, name, value, &length) < 0 || length == 0)
		return;
	if (!has_zero_default || memcmp(value, zeros, length) != 0)
		options_record(records, level, name, value, length);
}

void options_capture(int fd, struct option_records *records)
{
	records->length = 0;
	capture_numbers(fd, records);
	capture_buffer_sizes(fd, records);
	capture_bytes(fd, SOL_SOCKET, SO_LINGER, sizeof(struct linger), true, records);
	capture_bytes(fd, SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval), true, records);
	capture_bytes(fd, SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval), true, records);
	capture_bytes(fd, SOL_SOCKET, SO_BINDTODEVICE, 16, true, records);  // IFNAMSIZ
	capture_bytes(fd, IPPROTO_TCP, TCP_CONGESTION, 16, false, records); // TCP_CA_NAME_MAX
}

// --- setting again

static bool means_something_to_stream(const struct record *record)
{
	if (record->level != SOL_SOCKET)
		return false;
	return record->name == SO_RCVTIMEO_OLD || record->name == SO_SNDTIMEO_OLD ||
	       record->name == SO_RCVTIMEO_NEW || record->name == SO_SNDTIMEO_NEW ||
	       record->name == SO_RCVLOWAT || record->name == SO_LINGER;
}

// Whatever can be set: this is a copy of settings that were accepted once.
static void apply(int fd, const struct option_records *records, bool only_stream)
{
	struct record record;
	int saved_errno = errno;

	for (uint32_t offset = 0; (offset = next_record(records, offset, &record)) != 0;) {
		if (!only_stream || means_something_to_stream(&record))
			(void)real_setsockopt(
				fd, record.level, record.name, record.value, record.length);
	}
	errno = saved_errno;
}

void options_apply_to_stream(int fd, const struct option_records *records)
{
	apply(fd, records, true);
}

int options_open_tcp(const struct socket_entry *entry)
{
	struct option_records records;
	int fd = swap_open_tcp(entry->domain);

	if (fd < 0)
		return fd;
	options_load(entry, &records);
	apply(fd, &records, false);
	return fd;
}
