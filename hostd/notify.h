// SPDX-License-Identifier: MIT
// Tells systemd about this service's state: sd_notify(3)'s protocol, one datagram to
// $NOTIFY_SOCKET.
#ifndef AIRLOCK_HOSTD_NOTIFY_H
#define AIRLOCK_HOSTD_NOTIFY_H

// state: "READY=1", "STOPPING=1" or "RELOADING=1"; the last one gets the MONOTONIC_USEC that
// Type=notify-reload asks for. Does nothing when no service manager started us.
void notify_service_manager(const char *state);

#endif
