# SPDX-License-Identifier: MIT
"""Ends that meet: hostd is stopped while both sides act, so that it finds all of it in one event."""

import contextlib
import signal
import socket

import pytest

from support import wire
from support.origin import Origin, exchange, match, pair, reset

SIZES = [0, 70_000]  # the larger one is more than one read and fits every kernel buffer


def act_as_opener(opener, size, end):
	opener.send(b"u" * size)
	if end == "finish":
		opener.finish()
	elif end == "close":
		opener.close()


def act_as_destination(accepted, size, end):
	accepted.sendall(b"d" * size)
	if end == "finish":
		accepted.shutdown(socket.SHUT_WR)
	elif end == "close":
		accepted.close()
	elif end == "reset":
		reset(accepted)


def read_to_end(connection):
	"""(bytes, whether the end came without an error)."""
	got = b""
	try:
		while piece := connection.recv(1 << 16):
			got += piece
	except ConnectionResetError:
		return got, False
	return got, True


def check_opener(host, opener, down, destination_end):
	if destination_end == "stay":
		assert opener.receive(len(down)) == down
		return
	got, is_orderly = read_to_end(opener.socket)
	assert len(got) == len(down) and got == down
	if destination_end != "reset":
		assert is_orderly
	else:
		assert not opener.probe()
		assert host.outcome(opener.id)[:2] == ("relay", "reset")


def check_destination(accepted, up, opener_end, down):
	if opener_end == "stay":
		if up:
			assert accepted.recv(len(up), socket.MSG_WAITALL) == up
		return
	got, is_orderly = read_to_end(accepted)
	assert len(got) == len(up) and got == up, f"orderly: {is_orderly}"
	# What it said met an opener that had closed, which TCP answers with a reset.
	assert is_orderly or (opener_end == "close" and down)


@pytest.mark.parametrize("opener_end", ["stay", "finish", "close"])
@pytest.mark.parametrize("destination_end", ["stay", "finish", "close", "reset"])
def test_what_both_sides_do_in_one_moment_is_passed_on(host, origin, opener_end, destination_end):
	before = host.settled_descriptors()
	for up in (b"u" * size for size in SIZES):
		for down in (b"d" * size for size in SIZES):
			for first in ("opener", "destination"):
				with pair(host, origin) as (opener, accepted):
					exchange(opener, accepted)
					with host.stopped():
						if first == "opener":
							act_as_opener(opener, len(up), opener_end)
						act_as_destination(accepted, len(down), destination_end)
						if first == "destination":
							with contextlib.suppress(BrokenPipeError):
								act_as_opener(opener, len(up), opener_end)
					if opener_end != "close":
						check_opener(host, opener, down, destination_end)
					if (opener_end, destination_end) == ("stay", "finish"):
						assert opener.probe(), "the opener's own direction is still open"
					if destination_end in ("stay", "finish"):
						check_destination(accepted, up, opener_end, down)
	wire.wait_until(lambda: host.descriptors() <= before, "all streams are closed")


@pytest.mark.parametrize("opener_end", ["stay", "finish"])
@pytest.mark.parametrize("destination_end", ["stay", "finish", "close"])
def test_what_comes_with_the_request_is_passed_on(host, origin, opener_end, destination_end):
	for size in SIZES:
		with host.stopped():
			opener = wire.Opener(host.path)
			opener.id = wire.new_id()
			opener.send(wire.connect(origin.destination, stream_id=opener.id) + b"u" * size)
			act_as_opener(opener, 0, opener_end)
		with opener, origin.accept() as accepted:
			if destination_end != "close":
				check_destination(accepted, b"u" * size, opener_end, b"")
			elif size:
				assert accepted.recv(size, socket.MSG_WAITALL) == b"u" * size
			act_as_destination(accepted, size, destination_end)
			check_opener(host, opener, b"d" * size, destination_end)


def test_many_streams_that_end_in_one_batch_are_all_told(host):
	"""More events than one epoll_wait returns."""
	with Origin(backlog=1024) as origin:
		openers = [host.open(origin.destination) for _ in range(400)]
		assert all(opener.wait() for opener in openers)
		streams = match(openers, origin)
	with host.stopped():
		for number, (opener, accepted) in enumerate(streams):
			act_as_destination(accepted, 10, ["finish", "close", "reset"][number % 3])
			act_as_opener(opener, 10, "finish")
	for number, (opener, accepted) in enumerate(streams):
		check_opener(host, opener, b"d" * 10, ["finish", "close", "reset"][number % 3])
		opener.close()
		accepted.close()


def test_an_opener_that_gives_up_in_the_moment_of_its_grant_leaves_nothing(host, origin):
	before = host.settled_descriptors()
	for _ in range(20):
		with host.stopped():
			host.open(origin.destination).close()
	wire.wait_until(lambda: host.descriptors() <= before, "all streams are closed")
	assert host.is_answering()


@pytest.mark.parametrize("size", [0, pytest.param(5, marks=pytest.mark.stand_in("the gate holds them"))])
def test_an_opener_that_closes_before_its_request_is_read_is_given_up_unless_it_has_sent_more(start, dns, origin, size):
	dns.add("slow.test", "127.0.0.1")
	dns.hold("slow.test")
	host = start("allow slow.test to=127.0.0.0/8")
	with host.stopped():
		opener = host.open(("198.18.0.1", origin.port), "slow.test")
		opener.send(b"u" * size)
		opener.close()
	if not size:
		assert host.line_of(opener.id)["text"] == "the opener went away"
	dns.wait_query("slow.test")
	dns.release("slow.test")
	if size:
		with origin.accept() as accepted:
			assert read_to_end(accepted)[0] == b"u" * size
	assert host.is_answering()


def test_an_asker_that_closes_before_its_question_is_read_is_not_kept(host, dns):
	wire.resolve(host.path, "warm.test")
	before = host.settled_descriptors()
	dns.hold("slow.test")
	with host.stopped():
		wire.Opener(host.path, wire.control(wire.STATUS, wire.new_id() + b"\x01")).close()
	wire.wait_until(lambda: host.descriptors() == before, "the stream is closed", 1)


def test_signals_that_come_together_are_all_obeyed(start, origin):
	host = start()
	with pair(host, origin) as (opener, accepted):
		with host.stopped():
			for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
				host.send_signal(number)
		exchange(opener, accepted)
	assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0
