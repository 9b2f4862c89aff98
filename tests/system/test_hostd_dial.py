# SPDX-License-Identifier: MIT
"""Several addresses of one name: RFC 8305's race, seen from the destinations."""

import socket
import time

import pytest

from support import wire
from support.origin import Origin, SilentPort, exchange

TOKEN, TOKEN_6 = "198.18.0.1", "fd61:6972:6c6f::1"
PORT = 7100
DIAL_TIMEOUT = 10.0


@pytest.fixture
def public(start):
	return start("allow *")


def test_an_address_that_does_not_answer_is_overtaken_by_the_next(public, dns):
	"""Well before the dial's own time is up: the first one's SYN is sent again for all of it."""
	dns.add("race.test", "11.0.0.20", "11.0.0.21")
	with Origin("11.0.0.21", PORT) as lively, SilentPort("11.0.0.20", PORT):
		begun = time.monotonic()
		with public.open((TOKEN, PORT), "race.test") as opener:
			assert opener.wait()
			assert time.monotonic() - begun < DIAL_TIMEOUT * 0.8
			with lively.accept() as accepted:
				exchange(opener, accepted)


def test_an_address_that_refuses_is_followed_by_the_next_at_once(public, dns):
	"""Thirty refusals in a row: a pause of RFC 8305's 250 ms for each would be 7.5 s."""
	refusing = [f"11.0.0.{number}" for number in range(30, 60)]
	dns.add("refusals.test", *refusing, "11.0.0.21")
	with Origin("11.0.0.21", PORT) as lively:
		begun = time.monotonic()
		with public.open((TOKEN, PORT), "refusals.test") as opener:
			assert opener.wait()
			assert time.monotonic() - begun < len(refusing) * 0.25 * 0.8
			lively.accept().close()


def test_the_losers_of_the_race_are_closed(public, dns):
	dns.add("race.test", "11.0.0.20", "11.0.0.21")
	before = public.settled_descriptors()
	with Origin("11.0.0.21", PORT) as lively, SilentPort("11.0.0.20", PORT):
		for _ in range(5):
			with public.open((TOKEN, PORT), "race.test") as opener:
				assert opener.wait()
				lively.accept().close()
		wire.wait_until(lambda: public.descriptors() <= before + 1, "the losers are closed")


def test_a_loser_never_gets_a_byte(public, dns):
	dns.add("race.test", "11.0.0.22", "11.0.0.21")
	with Origin("11.0.0.21", PORT) as one, Origin("11.0.0.22", PORT) as other:
		with public.open((TOKEN, PORT), "race.test") as opener:
			assert opener.wait()
			opener.send(b"for one of them alone")
			opener.finish()
			heard = [drain(each) for each in (one, other)]
		assert sorted(heard) == [b"", b"for one of them alone"]


def drain(origin):
	"""What came on the connection that waits at origin, if one does."""
	origin.socket.settimeout(0.5)
	try:
		accepted = origin.accept()
	except TimeoutError:
		return b""
	with accepted:
		got = b""
		while piece := accepted.recv(1000):
			got += piece
		return got


def test_when_all_addresses_fail_the_outcome_is_a_failure_of_the_dial(public, dns):
	dns.add("dead.test", "11.0.0.30", "11.0.0.31", "2600:11::30")
	assert public.refusal((TOKEN, PORT), "dead.test") == ("dial", "refused")


def test_an_unreachable_address_does_not_hide_a_reachable_one(public, dns):
	dns.add("half.test", "11.1.0.2", "11.2.0.1", "11.1.0.1", "11.0.0.21")
	with Origin("11.0.0.21", PORT) as lively:
		with public.open((TOKEN, PORT), "half.test") as opener:
			assert opener.wait()
			lively.accept().close()


@pytest.mark.parametrize("token, family", [(TOKEN, socket.AF_INET), (TOKEN_6, socket.AF_INET6)])
def test_the_family_that_the_program_asked_for_is_tried_first(public, dns, token, family):
	dns.add("dual.test", "11.0.0.21", "2600:11::21")
	with Origin("11.0.0.21", PORT) as four, Origin("2600:11::21", PORT) as six:
		wanted = four if family == socket.AF_INET else six
		with public.open((token, PORT), "dual.test") as opener:
			assert opener.wait()
			with wanted.accept() as accepted:
				exchange(opener, accepted)


@pytest.mark.parametrize("token, address", [(TOKEN, "2600:11::21"), (TOKEN_6, "11.0.0.21")])
def test_a_name_of_the_other_family_alone_is_reached_all_the_same(public, dns, token, address):
	dns.add("single.test", address)
	with Origin(address, PORT) as origin, public.open((token, PORT), "single.test") as opener:
		assert opener.wait()
		with origin.accept() as accepted:
			exchange(opener, accepted)


def test_the_log_names_the_address_that_won(public, dns):
	dns.add("race.test", "11.0.0.30", "11.0.0.21")
	with Origin("11.0.0.21", PORT) as lively:
		with public.open((TOKEN, PORT), "race.test") as opener:
			assert opener.wait()
			lively.accept().close()
	assert "11.0.0.21" in str(public.line_of(opener.id))
