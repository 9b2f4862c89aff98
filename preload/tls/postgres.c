// SPDX-License-Identifier: MIT
#include "preload/tls/postgres.h"

#include <errno.h>

enum postgres_verdict postgres_judge(const uint8_t answer[static 2], ssize_t length, int error)
{
	if (length < 0)
		return error == EAGAIN || error == EINTR ? POSTGRES_WAIT : POSTGRES_ENDED;
	if (length == 0)
		return POSTGRES_ENDED;
	if (answer[0] != 'S')
		return POSTGRES_REFUSED;
	return length == 1 ? POSTGRES_GO : POSTGRES_TOO_MUCH;
}
