// SPDX-License-Identifier: MIT
#include "hostd/request_phase.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "hostd/connect.h"
#include "hostd/verbs.h"
#include "wire/parse.h"
#include "wire/stream.h"

#define REQUEST_ENDS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

static void request_phase_dispatch(struct session *session, const struct request *request)
{
	memcpy(session->id, request->id, sizeof(session->id));
	memcpy(session->program, request->program, sizeof(session->program));
	if (request->verb == REQUEST_CONNECT)
		connect_begin(session, request);
	else
		verbs_begin(session, request);
}

static void request_phase_decode(struct session *session, const uint8_t bytes[static REQUEST_SIZE])
{
	struct request request;
	struct parse_error error;
	char reason[PARSE_REASON_SIZE + 32];

	if (request_decode(bytes, &request, &error)) {
		request_phase_dispatch(session, &request);
		return;
	}
	snprintf(reason, sizeof(reason), "%s at byte %zu", error.reason, error.offset);
	session_reject(session, reason);
}

void request_phase_on_opener(struct session *session, uint32_t events)
{
	uint8_t bytes[REQUEST_SIZE];
	int length = stream_peek_request(session->opener.fd, bytes);

	if (length == -EAGAIN)
		return;
	if (length <= 0) {
		session_reject(session, length ? strerror(-length) : "closed without a request");
		return;
	}
	if (!request_may_begin(bytes, (size_t)length)) {
		session_reject(session, "does not begin like a request");
		return;
	}
	if (length == REQUEST_SIZE) {
		request_phase_decode(session, bytes);
		// An end that came with the request is not told again: it is the next state's too.
		if (events & REQUEST_ENDS)
			session_handle_event(session, 0, events);
	} else if (events & REQUEST_ENDS) {
		session_reject(session, "ended within its request");
	}
}

void request_phase_on_deadline(struct session *session)
{
	session_reject(session, "no whole request in time");
}
