# SPDX-License-Identifier: MIT
"""Threads that are cancelled."""
import pytest

from support import peer, transport, world


@pytest.fixture(params=["on", "off"])
def gate(request, airlock):
	airlock.configure(gate=request.param)


def test_a_thread_is_cancelled_inside_connect(both, peers, probe, gate):
	origin = peers.drop()
	both([probe("cancelling"), "cancelled", origin.host, origin.port]).assert_same()


def test_what_has_the_number_of_a_socket_that_was_closed_while_it_connected_stays(airlock, peers, probe, gate):
	origin = peers.drop()
	result = airlock.run([probe("cancelling"), "reused-while-waiting", origin.host, origin.port])
	assert result.stdout == "same number 1\nconnect: -1 EBADF\nstill the file: 1\n", result


@pytest.mark.parametrize("case", ["uncancelled-open", "uncancelled-decided"])
def test_what_is_no_cancellation_point_on_a_connection(both, peers, probe, gate, case):
	origin = peers.listen(peer.echo)
	both([probe("cancelling"), case, origin.host, origin.port]).assert_same()


def test_what_is_no_cancellation_point_after_a_refusal(both, peers, probe, gate):
	origin = peers.refuse()
	both([probe("cancelling"), "uncancelled-decided", origin.host, origin.port]).assert_same()


def test_what_is_no_cancellation_point_before_the_answer(both, peers, probe, gate):
	origin = peers.drop(gives_up=False)
	both([probe("cancelling"), "uncancelled-pending", origin.host, origin.port]).assert_same()


def test_what_is_no_cancellation_point_on_an_inherited_connection(both, peers, probe):
	origin = peers.listen(peer.echo)
	both([probe("cancelling"), "uncancelled-inherited", origin.host, origin.port]).assert_same()


def test_fork_is_no_cancellation_point_while_another_thread_dials(airlock, probe):
	config = airlock.write(endpoint=transport.new_endpoint(airlock.home, "nobody.sock"))
	result = airlock.run([probe("cancelling"), "uncancelled-fork", world.PUBLIC, "80"], config=config)
	assert result.stdout == "done 10\n", result
