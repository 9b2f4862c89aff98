# SPDX-License-Identifier: MIT
"""The gate: an opener may write when the destination has answered, and learns why it may not."""

import errno
import select
import socket
import struct
import threading
import time

import pytest

from support import transport, wire
from support.origin import Origin, RefusingPort, SilentPort, exchange

PENDING = ("dial", "none")
GRANTED = ("open", "none")


def wait_dialling(host, opener):
	"""Returns once hostd has read the request and dials."""
	wire.wait_until(lambda: host.outcome(opener.id, wait=False)[:2] == PENDING, "the dial begins")


def test_a_stream_becomes_writable_when_its_destination_answers_and_not_before(host):
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wait_dialling(host, opener)
		assert opener.events() == 0
		silent.answer()
		assert opener.wait()
		with silent.accept() as accepted:
			exchange(opener, accepted)


def test_what_is_written_while_the_gate_is_shut_arrives_behind_the_request(host):
	"""A unix socket takes a little more than its size, and a blocking write sleeps for the rest."""
	early = bytes(range(256)) * 1000
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wait_dialling(host, opener)
		writer = threading.Thread(target=opener.send, args=(early,))
		writer.start()
		silent.answer()
		with silent.accept() as accepted:
			assert accepted.recv(len(early), socket.MSG_WAITALL) == early
		writer.join()


def test_epoll_edge_triggered_reports_the_gate_exactly_once(host):
	with SilentPort() as silent, host.open(silent.destination) as opener, select.epoll() as epoll:
		wait_dialling(host, opener)
		epoll.register(opener.socket, select.EPOLLOUT | select.EPOLLET)
		assert epoll.poll(0) == []
		silent.answer()
		assert epoll.poll(wire.PATIENCE) == [(opener.socket.fileno(), select.EPOLLOUT)]
		assert opener.wait()


def test_nothing_of_the_answer_is_in_the_data(host, origin):
	with host.open(origin.destination) as opener, origin.accept() as accepted:
		accepted.sendall(b"220 first word of the destination")
		assert opener.wait()
		assert opener.receive(33) == b"220 first word of the destination"


def test_a_refused_stream_is_closed_with_its_request_unread(host):
	with RefusingPort() as refusing, host.open(refusing.destination) as opener:
		events = opener.events(select.POLLIN | select.POLLOUT, wire.PATIENCE)
		if transport.IS_VSOCK:  # which looks like an orderly end until it is probed
			assert events == select.POLLIN | select.POLLOUT
		else:
			assert events & select.POLLHUP and events & select.POLLERR
			assert opener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
		assert not opener.probe()


def test_status_after_a_refusal_tells_stage_class_and_a_sentence(host):
	with RefusingPort() as refusing, host.open(refusing.destination) as opener:
		assert not opener.wait()
		stage, kind, text = host.outcome(opener.id, wait=False)
		assert (stage, kind) == ("dial", "refused")
		assert text.isprintable() and len(text) > 5


def test_the_outcome_is_stored_before_the_opener_can_see_the_close(host):
	with RefusingPort() as refusing:
		for _ in range(300):
			with host.open(refusing.destination) as opener:
				assert not opener.wait()
				assert host.outcome(opener.id, wait=False)[:2] == ("dial", "refused")


def test_no_outcome_is_lost_while_many_are_decided_at_once(start):
	"""Each thread of hostd has its own idea of now; none may take another's outcome for an old one."""
	host = start(more="workers 4")
	with RefusingPort() as refusing:
		for _ in range(20):
			with host.stopped():  # so that each thread finds a long batch to work on
				openers = [host.open(refusing.destination) for _ in range(300)]
			assert not any(opener.wait() for opener in openers)
			outcomes = [host.outcome(opener.id, wait=False)[:2] for opener in openers]
			assert set(outcomes) == {("dial", "refused")}
			for opener in openers:
				opener.close()


def test_a_destination_that_answers_and_ends_at_once_is_a_success(host, origin):
	with host.open(origin.destination) as opener, origin.accept() as accepted:
		accepted.shutdown(socket.SHUT_WR)
		assert opener.wait()
		assert opener.receive(1) == b""
		opener.send(b"still heard")
		assert accepted.recv(100) == b"still heard"


def test_status_with_wait_answers_when_the_dial_is_decided(host):
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wait_dialling(host, opener)
		question = wire.control(wire.STATUS, opener.id + b"\x01")
		with wire.Opener(host.path, question) as waiting:
			assert host.is_answering()
			assert waiting.events(select.POLLIN) == 0
			silent.answer()
			assert wire.Answer(waiting.receive_all()).outcome()[:2] == GRANTED
		assert opener.wait()


def test_status_with_wait_tells_a_failure_that_comes_later(start):
	host = start(timeouts="header=5s dial=2s idle=1h drain=1s")
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wait_dialling(host, opener)
		assert host.outcome(opener.id, wait=True)[:2] == ("dial", "timed-out")
		assert not opener.wait()


def test_status_with_wait_knows_a_stream_that_was_opened_just_before(host):
	"""Both streams may be read by different threads: the second must not be answered first."""
	with RefusingPort() as refusing:
		for _ in range(3000):
			with host.open(refusing.destination) as opener:
				assert host.outcome(opener.id, wait=True)[:2] == ("dial", "refused")


def test_status_with_wait_waits_for_a_stream_that_is_late(host):
	"""On a busy machine it may be overtaken by far; an answer before it has come would call it open."""
	stream_id = wire.new_id()
	with RefusingPort() as refusing, wire.Opener(host.path, wire.control(wire.STATUS, stream_id + b"\x01")) as waiting:
		assert waiting.events(select.POLLIN, 0.5) == 0
		with host.open(refusing.destination, stream_id=stream_id):
			assert wire.Answer(waiting.receive_all()).outcome()[:2] == ("dial", "refused")


def test_many_waiters_for_one_stream_are_all_answered(host):
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wait_dialling(host, opener)
		question = wire.control(wire.STATUS, opener.id + b"\x01")
		waiters = [wire.Opener(host.path, question) for _ in range(50)]
		abandoned = wire.Opener(host.path, question)
		abandoned.close()
		silent.answer()
		for waiter in waiters:
			assert wire.Answer(waiter.receive_all()).outcome()[:2] == GRANTED
			waiter.close()


def test_status_without_wait_of_an_open_stream_says_open(host, origin):
	with host.open(origin.destination) as opener:
		assert opener.wait()
		assert host.outcome(opener.id, wait=False)[:2] == GRANTED


@pytest.mark.parametrize("wait", [False, True])
def test_status_of_an_unknown_id_answers_that_nothing_failed(host, wait):
	assert host.outcome(wire.new_id(), wait)[:2] == GRANTED


@pytest.mark.parametrize("wait", [False, True])
def test_status_from_another_enclave_learns_nothing(host, wait):
	nothing = host.outcome(wire.new_id(), wait, path=host.other_path)
	with RefusingPort() as refusing, SilentPort() as silent:
		with host.open(refusing.destination) as failed, host.open(silent.destination) as dialling:
			assert not failed.wait()
			wait_dialling(host, dialling)
			for stream_id in (failed.id, dialling.id):
				assert host.outcome(stream_id, wait, path=host.other_path) == nothing
	assert host.outcome(failed.id)[:2] == ("dial", "refused")


def test_an_enclave_cannot_overwrite_the_outcome_of_another(host):
	with RefusingPort() as refusing, host.open(refusing.destination) as opener:
		assert not opener.wait()
	with host.open(refusing.destination, path=host.other_path, stream_id=opener.id) as copy:
		assert not copy.wait()
	assert host.outcome(opener.id)[:2] == ("dial", "refused")
	assert host.outcome(opener.id, path=host.other_path)[:2] == ("policy", "denied")


def test_an_id_that_is_being_dialled_cannot_be_used_twice(host, origin):
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wait_dialling(host, opener)
		with host.open(origin.destination, stream_id=opener.id) as copy:
			assert not copy.wait()
		silent.answer()
		assert opener.wait()
	assert not origin.has_caller()


def test_a_stream_that_is_given_up_while_gated_ends_the_dial(host):
	before = host.settled_descriptors()
	with SilentPort() as silent:
		with host.open(silent.destination) as opener:
			wait_dialling(host, opener)
			assert host.descriptors() > before
		wire.wait_until(lambda: host.descriptors() == before, "the dial is given up")
		assert host.line_of(opener.id)["class"] == "none", "it was the kernel that gave up"


def test_the_gate_verb_holds_the_gate_as_long_as_asked(host):
	begun = time.monotonic()
	with wire.gate(host.path, 300) as opener:
		assert opener.events(select.POLLOUT, wire.PATIENCE) & select.POLLOUT
		assert time.monotonic() - begun > 0.3 * 0.95, "it was writable before"
		answer = wire.Answer(opener.receive_all())
		assert (answer.status, answer.payload) == (wire.OK, b"")


def test_a_held_gate_delays_nobody_else(host, origin):
	with wire.gate(host.path, 1000) as held:
		with host.open(origin.destination) as opener:
			assert opener.wait()
		assert held.events(select.POLLOUT) == 0


def test_the_gate_verb_refuses_more_than_a_second(host):
	assert wire.ask(host.path, wire.control(wire.GATE, struct.pack("!H", 1001))).status == wire.MALFORMED


def test_ping_answers_with_the_version(host):
	answer = wire.ping(host.path)
	assert answer.status == wire.OK
	assert answer.payload.decode("ascii").strip()


def test_each_of_many_concurrent_dials_gets_its_own_answer(host):
	with Origin() as origin, RefusingPort() as refusing, SilentPort() as silent:
		streams = [
			(host.open(target.destination), target)
			for _ in range(60)
			for target in (origin, refusing, silent)
		]
		for opener, target in streams:
			if target is not silent:
				assert opener.wait() == (target is origin)
		assert all(opener.events() == 0 for opener, target in streams if target is silent)
		for opener, _ in streams:
			opener.close()
