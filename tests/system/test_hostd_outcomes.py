# SPDX-License-Identifier: MIT
"""Every way in which a connect can fail, as the opener learns it."""

import time

import pytest

from support import dns_server, wire, world
from support.origin import Origin, RefusingPort, SilentPort, exchange, match, pair

QUICK_DIAL = "header=5s dial=400ms idle=1h drain=1s"


def test_a_port_where_nobody_listens_is_refused(host):
	with RefusingPort() as refusing:
		assert host.refusal(refusing.destination) == ("dial", "refused")


def test_a_destination_that_never_answers_times_out(start):
	host = start(timeouts=QUICK_DIAL)
	with SilentPort() as silent:
		assert host.refusal(silent.destination) == ("dial", "timed-out")


@pytest.mark.parametrize(
	"address, kind",
	[
		(world.UNREACHABLE, "host-unreachable"),
		(world.NO_ROUTE, "net-unreachable"),
		(world.PROHIBITED, "denied"),
	],
)
def test_what_the_routing_table_says_is_told_as_the_dial_s_outcome(start, address, kind):
	host = start("allow *")
	assert host.refusal((address, 80)) == ("dial", kind)


def test_an_error_that_no_class_stands_for_is_told_as_some_failure_of_the_dial(start):
	stage, kind = start("allow *").refusal((world.BLACKHOLE, 80))
	assert stage == "dial" and kind != "none"


def test_a_destination_that_no_rule_allows_is_denied_by_policy(start, origin):
	host = start("allow 127.0.0.2")
	assert host.refusal(origin.destination) == ("policy", "denied")
	assert not origin.has_caller()


def test_the_sentence_of_a_policy_denial_names_the_destination_or_the_rule(start):
	host = start("deny 127.0.0.1:99\nallow 127.0.0.1")
	with host.open(("127.0.0.1", 99)) as opener:
		assert not opener.wait()
		text = host.outcome(opener.id)[2]
	assert "127.0.0.1" in text or "line" in text, text


def test_a_name_that_does_not_exist_is_no_such_name(start, dns):
	host = start("allow *")
	assert host.refusal(("198.18.0.1", 80), "nowhere.test") == ("name", "no-such-name")


def test_a_name_without_addresses_is_no_such_name(start, dns):
	dns.add("empty.test")
	assert start("allow *").refusal(("198.18.0.1", 80), "empty.test") == ("name", "no-such-name")


@pytest.mark.parametrize("code", [dns_server.SERVFAIL, dns_server.REFUSED])
def test_a_name_server_that_fails_means_try_again(start, dns, code):
	dns.fail("broken.test", code)
	assert start("allow *").refusal(("198.18.0.1", 80), "broken.test") == ("name", "try-again")


def test_a_name_server_that_is_silent_fails_within_the_dial_s_time(start, dns):
	dns.ignore("silent.test")
	host = start("allow *", timeouts=QUICK_DIAL)
	stage, kind = host.refusal(("198.18.0.1", 80), "silent.test")
	assert stage == "name" and kind in ("timed-out", "try-again")


def test_name_and_dial_share_one_deadline(start, dns):
	dns.add("slow.test", "11.0.0.7")
	dns.delay("slow.test", 4.0)
	host = start("allow *", timeouts=QUICK_DIAL)
	with Origin("11.0.0.7") as origin:
		stage, kind = host.refusal(("198.18.0.1", origin.port), "slow.test")
		assert stage in ("name", "dial") and kind in ("timed-out", "try-again")
		assert not origin.has_caller()


def test_an_unknown_cid_is_closed_and_told_nothing(host, origin):
	for request in (wire.connect(origin.destination), wire.control(wire.PING), b"x", b""):
		with wire.dial(host.stranger_path) as stream:
			try:
				stream.sendall(request)
				assert stream.recv(1) == b""
			except (ConnectionResetError, BrokenPipeError):
				pass
	assert not origin.has_caller()
	assert host.is_answering()


def test_an_enclave_without_rules_may_do_nothing(host, origin):
	assert host.refusal(origin.destination, path=host.other_path) == ("policy", "denied")


def test_connections_past_the_limit_are_refused_until_one_ends(start, origin):
	host = start("allow 127.0.0.1\nlimit connections=3")
	streams = [host.open(origin.destination) for _ in range(3)]
	assert all(stream.wait() for stream in streams)
	(first, first_accepted), second, third = match(streams, origin)
	assert host.refusal(origin.destination) == ("limit", "limit")
	first.close()
	first_accepted.close()
	host.line_of(first.id)
	with pair(host, origin) as (opener, fourth):
		exchange(opener, fourth)
		exchange(*second)
		exchange(*third)


def test_dials_that_are_under_way_count_as_connections(start):
	host = start("allow 127.0.0.1\nlimit connections=2")
	with SilentPort() as silent:
		with host.open(silent.destination) as one, host.open(silent.destination) as two:
			for opener in (one, two):
				wire.wait_until(
					lambda: host.outcome(opener.id, wait=False)[0] == "dial", "the dial begins"
				)
			assert host.refusal(silent.destination) == ("limit", "limit")


def test_refused_dials_give_their_place_back(start):
	"""Before the opener can see that it was refused: it may dial again at once."""
	host = start("allow 127.0.0.1\nlimit connections=1")
	with RefusingPort() as refusing:
		for _ in range(2000):
			with host.open(refusing.destination) as opener:
				assert not opener.wait()
			assert host.outcome(opener.id)[:2] == ("dial", "refused")


def test_control_verbs_work_when_the_connections_are_used_up(start, origin):
	host = start("allow 127.0.0.1\nlimit connections=1")
	with pair(host, origin) as (_, _):
		with host.open(origin.destination) as opener:
			assert not opener.wait()
			assert host.outcome(opener.id)[:2] == ("limit", "limit")


def test_new_streams_past_the_rate_are_refused_with_limit(start, origin):
	host = start("allow 127.0.0.1\nlimit rate=10/s")
	granted = refused = 0
	begun = time.monotonic()
	with host.stopped():  # so that they come all at once
		openers = [host.open(origin.destination) for _ in range(60)]
	for opener in openers:
		with opener:
			if opener.wait():
				granted += 1
			else:
				refused += 1
				assert host.outcome(opener.id)[:2] == ("limit", "limit")
	seconds = time.monotonic() - begun
	assert granted >= 1 and refused >= 1
	assert granted <= 10 * (1 + seconds) + 1
	wire.wait_until(lambda: is_granted(host, origin), "the rate allows streams again")


def is_granted(host, origin):
	with host.open(origin.destination) as opener:
		return opener.wait()


def test_the_limits_of_one_enclave_are_not_another_s(start, origin):
	host = start("allow 127.0.0.1\nlimit connections=1", more="enclave third cid=99\n  allow 127.0.0.1")
	with pair(host, origin), host.open(origin.destination, path=host.stranger_path) as opener:
		assert opener.wait()
