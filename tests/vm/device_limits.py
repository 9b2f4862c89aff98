# SPDX-License-Identifier: MIT
"""What vhost-device-vsock 0.2.0 cannot do, by the tests that show it; seen with Linux 6.12 in the guest.

airlock-hostd.conf(5) tells users.
"""
import fnmatch

import pytest

GATE = "it forwards what the guest sends and tells of room at once: the gate does not hold"
REFUSED = "it is silent when hostd closes a stream with its request unread: a connect that did not wait hangs"
ABSENT = "it is silent when nobody listens: connect() ends after vsock's own 2 s, with ETIMEDOUT"
HALF_CLOSE = "it keeps a half-close of the guest to itself: the destination waits for an end that never comes"
FAR_HALF_CLOSE = "it makes a full shutdown of hostd's half-close: the program can send no more"
LOST = "it loses what it has not passed on (up to 64 KiB) eight seconds after the guest's close, and hostd sees an end"
LARGE = "it drops a packet of more than one descriptor, which 6.12 makes of more than 32 KiB: the stream stands still"

# (name as fnmatch(3) has it, reason)
FAIL = [
	("vm/test_device.py::test_the_gate_holds", GATE),
	("vm/test_device.py::test_a_refused_connect_that_did_not_wait_*", REFUSED),
	("vm/test_device.py::test_a_transmission_of_a_mebibyte_arrives", LARGE),
	("vm/test_device.py::test_what_was_sent_before_a_close_arrives", LOST),
	("vm/test_device.py::test_a_half_close_in_the_guest_*", HALF_CLOSE),
	("behaviour/test_connect.py::test_a_refusing_destination[[]nonblocking*", GATE),
	("behaviour/test_connect.py::test_a_refusing_destination[[]fast-open-nonblocking]", GATE),
	("behaviour/test_connect.py::test_a_destination_that_does_not_answer_times_out[[]nonblocking]", GATE),
	("behaviour/test_connect.py::test_while_the_destination_has_not_answered[[]pending]", GATE),
	("behaviour/test_connect.py::test_while_the_destination_has_not_answered[[]interrupted]", GATE),
	("behaviour/test_connect.py::test_without_hostd_the_network_is_unreachable", ABSENT),
	("behaviour/test_epoll.py::test_a_registration_made_before_a_refused_connect", GATE),
	("behaviour/test_event_loops.py::test_an_edge_triggered_loop_keeps_ticking", GATE),
	("behaviour/test_tls_programs.py::test_writability_waits_for_the_handshake*", GATE),
	("behaviour/test_tls_programs.py::test_what_goes_wrong_before_tls_keeps_its_errno[[]refused]", REFUSED),
	("behaviour/test_transfer.py::test_a_far_end_that_half_closes_*", FAR_HALF_CLOSE),
]
# These would wait for their timeouts.
HANG = [
	("behaviour/test_connect.py::test_an_accepting_destination*[[]send-to]", HALF_CLOSE),
	("behaviour/test_connect.py::test_an_accepting_destination[[]fast-open]", HALF_CLOSE),
	("behaviour/test_connect.py::test_an_accepting_destination[[]fast-open-connect]", HALF_CLOSE),
	("behaviour/test_connect.py::test_an_accepting_destination[[]sigpipe]", HALF_CLOSE),
	("behaviour/test_transfer.py::test_every_sending_call_*", HALF_CLOSE),
	("behaviour/test_transfer.py::test_a_nonblocking_sender_*", HALF_CLOSE),
	("behaviour/test_transfer.py::test_a_reset_after_our_own_half_close_*", HALF_CLOSE),
]


class Limits:
	"""The pytest plugin that expects no more. A test that passes all the same fails: its line can go."""

	def pytest_collection_modifyitems(self, items):
		for item in items:
			for table in (FAIL, HANG):
				for pattern, reason in table:
					if fnmatch.fnmatch(item.nodeid, pattern):
						item.add_marker(pytest.mark.xfail(reason=reason, strict=True, run=table is FAIL))
