# SPDX-License-Identifier: MIT
"""Descriptors duplicated, reused, inherited, passed on; nothing leaks."""
import re

import pytest

from support import peer

CASES = ["reuse-as-socket", "reuse-as-file", "reuse-as-pair", "reuse-as-listener", "reuse-as-datagram",
	"duplicates", "duplicate-first", "duplicate-reused", "wake-by-shutdown", "no-room", "flags", "asynchronous", "passed-on"]


@pytest.mark.parametrize("case", CASES)
def test_descriptors(both, peers, probe, case):
	origin = peers.listen(peer.echo)
	both([probe("descriptors"), case, origin.host, origin.port]).assert_same()


def test_every_duplicate_of_a_socket_that_failed_to_connect_can_connect_again(both, peers, probe):
	origin, refused = peers.listen(peer.echo), peers.refuse()
	both([probe("descriptors"), "duplicate-failed", origin.host, origin.port, refused.port]).assert_same()


def test_a_program_without_standard_descriptors_keeps_them_free(airlock, peers, probe):
	origin = peers.listen(peer.echo)
	reports = []
	for name, run in (("native", airlock.native), ("airlock", airlock.run)):
		report = airlock.home / name
		run([probe("descriptors"), "standard-input", origin.host, origin.port, report])
		reports.append(report.read_text())
	assert reports[0] == reports[1] == "socket 0 connect 0 next 1\n"


@pytest.mark.parametrize("case", ["dialled-by-another-number", "dialled-by-another-process", "crowded-by-others",
	"crowded-without-first-thread"])
def test_a_stream_stays_known_among_a_thousand_that_come_and_go(both, peers, probe, case):
	"""Also when the dialling process is gone, and when those who dialled the others are not."""
	origin = peers.listen(peer.hold)
	program = probe("tables", "-ffunction-sections", "-Wl,--gc-sections")  # some of what it includes
	both([program, case, origin.host, origin.port]).assert_same()


@pytest.mark.stand_in("its listener is a unix socket")
def test_what_has_the_number_of_a_socket_that_was_closed_while_it_dialled_stays(airlock, probe):
	path = airlock.home / "busy.sock"
	airlock.configure(endpoint=f"unix:{path}")
	result = airlock.run([probe("descriptors"), "reuse-while-dialling", "11.0.0.1", "9", path])
	# A dial that gave up meanwhile, on a busy machine, is ENETUNREACH.
	assert re.fullmatch("connect: -1 (EBADF|ENETUNREACH)\\nstill the file: 1\\n", result.stdout), result


@pytest.mark.limit(600)
def test_ten_thousand_cancelled_attempts_leak_nothing(airlock, hostd, upstreams, probe):
	"""The dial is held, so each attempt is closed while its gate is shut."""
	proxy = upstreams.socks5(hold=None)
	airlock.use(hostd(upstream=proxy.url))
	before = len(airlock.hostd.open_descriptors())
	result = airlock.run([probe("descriptors"), "cancelled-attempts", "11.0.0.1", "9", "10000"], timeout=400)
	assert result.stdout == "descriptors more than before: 0\n"
	peer.wait_until(lambda: len(airlock.hostd.open_descriptors()) <= before + 2, 100,
		"hostd to close every cancelled stream")


@pytest.mark.limit(600)
def test_two_thousand_connections_in_turn_leak_nothing(airlock, peers, probe):
	origin = peers.listen(peer.echo)
	airlock.configure()
	before = len(airlock.hostd.open_descriptors())
	result = airlock.run([probe("descriptors"), "many-connections", origin.host, origin.port, "2000"],
		timeout=400)
	assert result.stdout == "descriptors more than before: 0\n"
	peer.wait_until(lambda: len(airlock.hostd.open_descriptors()) <= before + 2, 100,
		"hostd to close every ended stream")
