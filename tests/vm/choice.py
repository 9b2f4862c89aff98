# SPDX-License-Identifier: MIT
"""Which tests a guest runs."""

# Of airlock-tls and the launcher.
ENCLAVE_PROGRAMS = """
	tests/behaviour/test_tls_programs.py::test_redis_cli
	tests/behaviour/test_tls_programs.py::test_writability_waits_for_the_handshake
	tests/behaviour/test_tls_programs.py::test_what_goes_wrong_before_tls_keeps_its_errno[refused]
	tests/behaviour/test_launcher_run.py::test_the_status_is_the_programs_own
	tests/behaviour/test_launcher_run.py::test_with_hostd_there_nothing_is_said
	tests/behaviour/test_launcher_run.py::test_a_signal_reaches_the_program
""".split()

# What says most about the transport, within the time that two guests have: on each kernel,
EACH = """
	tests/vm
	--deselect=vm/test_small_messages.py::test_a_program_that_stalls_for_a_minute_gets_every_message
	tests/system/test_hostd_gate.py::test_a_stream_becomes_writable_when_its_destination_answers_and_not_before
	tests/system/test_hostd_gate.py::test_epoll_edge_triggered_reports_the_gate_exactly_once
	tests/system/test_hostd_gate.py::test_nothing_of_the_answer_is_in_the_data
	tests/system/test_hostd_gate.py::test_a_refused_stream_is_closed_with_its_request_unread
	tests/system/test_hostd_gate.py::test_status_after_a_refusal_tells_stage_class_and_a_sentence
	tests/system/test_hostd_gate.py::test_status_with_wait_answers_when_the_dial_is_decided
	tests/behaviour/test_big_transfers.py::test_python_sends_and_receives_at_once
	tests/behaviour/test_cancelling.py::test_what_is_no_cancellation_point_on_a_connection[on-uncancelled-open]
	tests/behaviour/test_connect.py
	tests/behaviour/test_curl_errors.py::test_refused
	tests/behaviour/test_curl_errors.py::test_timed_out_by_the_network
	tests/behaviour/test_curl_errors.py::test_unreachable
	tests/behaviour/test_curl_errors.py::test_denied_by_policy_is_permission_denied
	tests/behaviour/test_curl_errors.py::test_no_such_name
	tests/behaviour/test_epoll.py
	tests/behaviour/test_transfer.py
	--deselect=behaviour/test_transfer.py::test_every_sending_call_sends_all_that_it_is_given[syscall]
	--deselect=behaviour/test_transfer.py::test_every_sending_call_sends_all_that_it_is_given[sendmsg]
	--deselect=behaviour/test_transfer.py::test_every_sending_call_sends_all_that_it_is_given[sendmmsg]
	tests/behaviour/test_event_loops.py::test_an_edge_triggered_loop_keeps_ticking
	tests/behaviour/test_event_loops.py::test_asyncio_keeps_ticking_while_a_dial_that_will_be_granted_is_held
	tests/behaviour/test_tls_programs.py::test_curl
""".split()

# and once what no kernel makes a difference to: programs, and what they are told.
ONCE = """
	tests/behaviour/test_curl_errors.py
	tests/behaviour/test_event_loops.py::test_asyncio_keeps_ticking_while_a_dial_that_will_be_refused_is_held[poll]
""".split() + ENCLAVE_PROGRAMS

# With two machines: those that have their hostd outside and their program in the guest.
OUTSIDE = """
	tests/vm/test_device.py
	tests/behaviour/test_connect.py
	tests/behaviour/test_epoll.py
	tests/behaviour/test_transfer.py
	tests/behaviour/test_event_loops.py::test_an_edge_triggered_loop_keeps_ticking
	tests/behaviour/test_tls_programs.py::test_curl
""".split() + ENCLAVE_PROGRAMS

# Everything that has a stream in it. airlock-attest's files and the scripts for images have none.
LONG = """
	tests/vm
	tests/behaviour
	tests/system
	--ignore-glob=*/test_attest_*.py
	--ignore=tests/system/test_image_scripts.py
	--ignore=tests/system/test_library_shape.py
	--ignore=tests/system/test_run_enclave.py
""".split()

BY_NAME = {
	"each": EACH,
	# What is named twice would run twice.
	"each-and-once": [word for word in EACH if word.split("::")[0] not in ONCE] + ONCE,
	"long": LONG,
}

# Of the long form: the tests' names, as fnmatch(3) has them, and what the guest lacks for them.
LACKING = [
	("behaviour/test_event_loops.py::test_node_keeps_ticking", "there is no node"),
	("behaviour/test_enclave_init.py::test_nothing_is_mounted_twice", "there is no /tmp without a mount of its own"),
	("system/test_hostd_ends.py::test_what_comes_with_the_request_is_passed_on*",
		"there is no room for more than the request before it is granted"),
	("system/test_hostd_logs.py::test_garbage_is_logged_without_its_bytes",
		"there is no ECONNRESET from a vsock that is closed with bytes unread"),
]
# Fixtures that are about the stand-in.
STAND_INS = {"tap": "what lies between is a unix socket's relay"}
# Programs for which it is too small; a test that starts one itself ends there.
PROGRAMS = ["cc", "gcc", "go", "objcopy", "readelf", "nm", "java", "node"]
