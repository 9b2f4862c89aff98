// SPDX-License-Identifier: MIT
// The socket of a simulated NSM (wire/nsm_socket.h), served until a signal ends it.
#ifndef AIRLOCK_ATTEST_SIMULATED_SERVER_H
#define AIRLOCK_ATTEST_SIMULATED_SERVER_H

#include <stdbool.h>

#include "attest/error.h"
#include "attest/simulated_nsm.h"
#include "wire/compiler.h"
#include "wire/endpoint.h"

// Listens, prints "listening unix:PATH" on standard output once it does, and serves until SIGTERM
// or SIGINT; the socket file is then gone. Everybody may connect, as everybody may open /dev/nsm:
// who is to be kept out has to be by the directory. A socket that somebody listens at is not
// replaced. False with *error filled (USAGE: no unix endpoint; DEVICE).
bool simulated_server_run(struct simulated_nsm *nsm, const struct endpoint *endpoint,
	struct attest_error *error) MUST_CHECK;

#endif
