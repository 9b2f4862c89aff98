# SPDX-License-Identifier: MIT
"""A granted stream is the program's own connection: bytes, ends, resets and pressure."""

import contextlib
import fcntl
import random
import select
import socket
import struct
import termios
import threading
import time

import pytest

from support import peer, process, serving, transfer, wire, world
from support.origin import exchange, match, pair, reset

MIB = 1 << 20
# What kernel buffers of three sockets may hold beside hostd's own: tcp_wmem's and tcp_rmem's maxima.
MOST_IN_FLIGHT = 32 * MIB
FIN_WAIT2 = b"\5"  # include/net/tcp_states.h; the first byte of TCP_INFO


# --- half-close

def test_the_opener_s_end_reaches_the_destination_and_the_answer_comes_back(host, origin):
	with pair(host, origin) as (opener, accepted):
		opener.send(b"question")
		opener.finish()
		assert accepted.recv(100) == b"question" and accepted.recv(1) == b""
		accepted.sendall(b"answer")
		accepted.close()
		assert opener.receive_all() == b"answer"
	assert host.outcome(opener.id)[:2] == ("open", "none")


def test_the_destination_s_end_is_an_orderly_one_and_the_opener_goes_on(host, origin):
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(b"all I have")
		accepted.shutdown(socket.SHUT_WR)
		assert opener.receive_all() == b"all I have"
		assert opener.probe(), "an orderly end must leave the other direction open"
		opener.send(b"I have more")
		opener.finish()
		assert accepted.recv(100) == b"I have more" and accepted.recv(1) == b""
	assert host.outcome(opener.id)[:2] == ("open", "none")


def test_a_destination_that_closes_gives_an_orderly_end(host, origin):
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(b"bye")
		accepted.close()
		assert opener.receive_all() == b"bye"
		assert opener.probe()


@pytest.mark.parametrize("word", [b"", b"220 and goodbye"])
def test_a_destination_that_speaks_and_ends_at_once_is_heard_every_time(host, word):
	"""Its words and its end may come in the same event as the news that it was reached."""
	listener = socket.create_server(("127.0.0.1", 0), backlog=128)
	server = serving.Server(listener, lambda accepted: accepted.sendall(word))
	for _ in range(1000):
		with host.open(listener.getsockname()) as opener:
			assert opener.wait()
			assert opener.receive_all() == word
			assert opener.probe()
	server.stop()


def test_both_ends_are_gone_from_hostd_when_both_have_ended(host, origin):
	before = host.settled_descriptors()
	for first in ("opener", "destination"):
		with pair(host, origin) as (opener, accepted):
			ends = [opener.socket, accepted]
			for end in ends if first == "opener" else reversed(ends):
				end.shutdown(socket.SHUT_WR)
			assert accepted.recv(1) == b"" and opener.receive(1) == b""
			wire.wait_until(lambda: host.descriptors() == before, "hostd closes both")


def test_data_just_before_the_end_is_not_lost(host, origin):
	data = bytes(range(256)) * 4096
	for _ in range(20):
		with pair(host, origin) as (opener, accepted):
			opener.send(data[:100_000])
			opener.close()
			with accepted.makefile("rb") as reader:
				assert reader.read() == data[:100_000]
		with pair(host, origin) as (opener, accepted):
			accepted.sendall(data[:100_000])
			accepted.close()
			assert opener.receive_all() == data[:100_000]


# --- abnormal ends

@pytest.mark.parametrize("size", [0, 10, 50_000])
def test_a_reset_is_a_bare_close_after_the_bytes_before_it(host, origin, size):
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(b"r" * size)
		reset(accepted)
		assert opener.receive_all() == b"r" * size
		assert not opener.probe(), "a reset must not look like an orderly end"
		assert host.outcome(opener.id)[:2] == ("relay", "reset")


def test_what_hostd_had_taken_before_a_reset_still_reaches_a_slow_opener(host, origin):
	"""More than the opener's socket holds, so that hostd keeps some of it when the reset comes."""
	data = random.Random(1).randbytes(300_000)
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(data)
		wire.wait_until(lambda: unacknowledged(accepted) == 0, "hostd's kernel has it all")
		reset(accepted)
		assert opener.receive_all() == data
		assert not opener.probe()


def unacknowledged(connection):
	"""Bytes of a TCP socket that its peer has not acknowledged: tcp(7), SIOCOUTQ."""
	return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]


def end_in_order(accepted):
	"""Ends, and closes once hostd's kernel knows: what comes from there later is answered by a reset."""
	accepted.shutdown(socket.SHUT_WR)
	wire.wait_until(lambda: accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == FIN_WAIT2, "the end is acknowledged")
	accepted.close()


def test_an_answer_is_whole_though_its_destination_has_closed_when_the_opener_says_more(host, origin):
	"""As natively, where a reader meets no error when an RST follows the FIN. The answer is more than the
	opener's socket holds, and the opener slow."""
	data = random.Random(2).randbytes(300_000)
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(data)
		end_in_order(accepted)
		for _ in range(25):
			with contextlib.suppress(BrokenPipeError):  # where the stream holds all of the answer
				opener.send(b"more")
			time.sleep(0.1)
		assert opener.receive(len(data)) == data
		assert opener.socket.recv(1) == b"" and opener.socket.recv(1) == b""
	assert host.line_of(opener.id)["class"] == "none"
	assert host.outcome(opener.id)[:2] == ("open", "none")


@pytest.mark.stand_in("AF_VSOCK's streams hold all of the answer, so that its end is told before")
def test_an_opener_that_sends_everything_before_it_reads_gets_its_answer(host, origin):
	data = random.Random(3).randbytes(300_000)
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(data)
		end_in_order(accepted)
		opener.send(bytes(8 * MIB))
		assert opener.receive_all() == data


@pytest.mark.parametrize("has_read", [True, False])
def test_an_opener_that_goes_on_sending_to_a_destination_that_has_closed_gets_epipe(host, origin, has_read):
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(b"answer")
		end_in_order(accepted)
		if has_read:
			assert opener.receive_all() == b"answer"
		with pytest.raises(BrokenPipeError):
			while True:
				opener.send(bytes(1000))
		assert opener.receive_all() == (b"" if has_read else b"answer")
	assert host.outcome(opener.id)[:2] == ("open", "none")


def test_a_reset_after_the_opener_s_own_end_is_told_by_status(host, origin):
	with pair(host, origin) as (opener, accepted):
		opener.finish()
		assert accepted.recv(1) == b""
		reset(accepted)
		assert opener.receive_all() == b""
		assert host.outcome(opener.id)[:2] == ("relay", "reset")


def test_a_reset_while_the_opener_sends_ends_its_sending(host, origin):
	with pair(host, origin) as (opener, accepted):
		transfer.stuff(opener.socket, MOST_IN_FLIGHT)
		reset(accepted)
		with pytest.raises((BrokenPipeError, ConnectionResetError)):
			while True:
				opener.send(bytes(MIB))
		assert host.outcome(opener.id)[:2] == ("relay", "reset")


def test_a_destination_that_is_lost_after_its_end_has_failed(host, origin, background):
	"""Only a reset is how a destination that has ended says that it is gone. strace pretends that no packet is answered."""
	if not process.which("strace") or not world.is_real_root:
		pytest.skip("needs strace, and root")
	with pair(host, origin) as (opener, accepted):
		accepted.shutdown(socket.SHUT_WR)
		assert opener.receive_all() == b""
		tracer = background(process.Daemon(["strace", "-f", "-p", str(host.pid), "-e", "inject=sendto:error=ETIMEDOUT:when=1"]))
		tracer.wait_line("attached")
		opener.send(b"to nobody")
		peer.wait_until(lambda: not opener.probe(), what="the stream's end")
		tracer.stop()
		assert host.outcome(opener.id)[:2] == ("relay", "timed-out")


def test_a_reset_is_told_to_an_opener_that_reads_no_more(host, origin):
	with pair(host, origin) as (opener, accepted):
		opener.socket.shutdown(socket.SHUT_RD)
		accepted.sendall(b"for nobody")
		exchange_up(opener, accepted)
		reset(accepted)
		with pytest.raises((BrokenPipeError, ConnectionResetError)):
			while True:
				opener.send(bytes(1000))
		assert host.outcome(opener.id)[:2] == ("relay", "reset")


def exchange_up(opener, accepted):
	"""Twice, so that hostd has met what it has for the opener before."""
	for word in (b"still", b"there"):
		opener.send(word)
		assert accepted.recv(len(word), socket.MSG_WAITALL) == word


def test_a_reset_is_told_to_the_opener_s_enclave_alone(host, origin):
	with pair(host, origin) as (opener, accepted):
		reset(accepted)
		assert opener.receive_all() == b""
		assert host.outcome(opener.id)[:2] == ("relay", "reset")
		assert host.outcome(opener.id, path=host.other_path)[:2] == ("open", "none")


def wait_for_reset(accepted):
	"""True when the connection ends by a reset, false for an orderly end."""
	try:
		while accepted.recv(1 << 16):
			pass
	except ConnectionResetError:
		return True
	return False


def test_an_opener_that_closes_with_unread_data_resets_the_destination(host, origin):
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(b"never read" * 1000)
		assert opener.events(select.POLLIN, wire.PATIENCE)
		opener.close()
		assert wait_for_reset(accepted)


def test_an_opener_that_closes_with_all_read_ends_orderly(host, origin):
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)
		opener.close()
		assert not wait_for_reset(accepted)


def test_a_destination_that_writes_to_an_opener_that_is_gone_is_reset(host, origin):
	with pair(host, origin) as (opener, accepted):
		opener.close()
		assert accepted.recv(1) == b""
		with pytest.raises((ConnectionResetError, BrokenPipeError)):
			for _ in range(100_000):
				accepted.sendall(b"x" * 1000)
	wire.wait_until(lambda: host.log(id=opener.id.hex()), "the connection's end")


def test_an_opener_that_is_gone_holds_nothing_though_its_destination_stays(host, origin):
	before = host.settled_descriptors()
	with pair(host, origin) as (opener, accepted):
		opener.close()
		assert accepted.recv(1) == b""
		wire.wait_until(lambda: host.descriptors() == before, "hostd lets go of both")


# --- many bytes and few

@pytest.mark.slow
def test_a_gibibyte_each_way_at_once_arrives_whole(host, origin):
	with pair(host, origin) as (opener, accepted):
		assert transfer.both_ways([(opener.socket, accepted)], 1 << 30)
	line = host.line_of(opener.id)
	assert [value for value in line.values()].count(str(1 << 30)) == 2, line


def test_twenty_transfers_at_once_do_not_mix(host, origin):
	openers = [host.open(origin.destination) for _ in range(20)]
	assert all(opener.wait() for opener in openers)
	pairs = [(opener.socket, accepted) for opener, accepted in match(openers, origin)]
	assert transfer.both_ways(pairs, 4 * MIB)
	for one, other in pairs:
		one.close()
		other.close()


@pytest.mark.parametrize("seed", range(8))
def test_streams_of_any_two_sizes_end_whole_and_in_order(host, origin, seed):
	chance = random.Random(seed)
	sizes = [0, 1, 100, 4096, 65_537, 300_001, 1_000_003]
	amounts = [(chance.choice(sizes), chance.choice(sizes)) for _ in range(24)]
	openers = [host.open(origin.destination) for _ in amounts]
	assert all(opener.wait() for opener in openers)
	matched = match(openers, origin)
	pairs = [(opener.socket, accepted) for opener, accepted in matched]
	assert transfer.both_ways(pairs, lambda number: amounts[number][0], lambda number: amounts[number][1])
	for (opener, accepted), (up, down) in zip(matched, amounts):
		opener.close()
		accepted.close()
		line = host.line_of(opener.id)
		assert (line["up"], line["down"]) == (str(up + 16), str(down)), line
		assert line["class"] == "none"


@pytest.mark.parametrize("size", [1, 2, 31743, 31744, 31745, 65535, 65536, 65537, 262143, 262145])
def test_sizes_around_every_buffer_arrive_whole(host, origin, size):
	with pair(host, origin) as (opener, accepted):
		assert transfer.both_ways([(opener.socket, accepted)], size)


def test_single_bytes_go_to_and_fro_without_a_pause(host, origin):
	"""A delay for merging, or Nagle's against a delayed ACK, would cost 40 ms for each turn.

	Two bytes before each answer: only a second small segment meets Nagle's algorithm.
	"""
	turns = 300
	with pair(host, origin) as (opener, accepted):
		accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		seconds = []
		for turn in range(turns):
			begun = time.monotonic()
			byte = bytes([turn % 256])
			for _ in range(2):
				opener.send(byte)
				assert accepted.recv(1) == byte
			accepted.sendall(byte)
			assert opener.receive(1) == byte
			seconds.append(time.monotonic() - begun)
		# Each of them would be late, once the connection is no longer new; a busy machine is late at times.
		assert sorted(seconds[turns // 2 :])[turns // 8] < 0.030


def test_a_dribble_of_single_bytes_keeps_its_order(host, origin):
	data = bytes(range(256)) * 20
	with pair(host, origin) as (opener, accepted):
		for index in range(len(data)):
			opener.send(data[index : index + 1])
		opener.finish()
		with accepted.makefile("rb") as reader:
			assert reader.read() == data


def test_bulk_transfers_do_not_starve_a_conversation(host, origin):
	"""Single turns are timed: streams of one thread take turns, whatever the others have to move."""
	openers = [host.open(origin.destination) for _ in range(5)]
	assert all(opener.wait() for opener in openers)
	(talker, listener), *bulk = match(openers, origin)
	pairs = [(opener.socket, accepted) for opener, accepted in bulk]
	moved, turns = [], []
	mover = threading.Thread(target=lambda: moved.append(transfer.both_ways(pairs, 64 * MIB)))
	started = time.monotonic()
	mover.start()
	while mover.is_alive():
		begun = time.monotonic()
		exchange(talker, listener, 10)
		turns.append(time.monotonic() - begun)
	mover.join()
	took = time.monotonic() - started
	assert moved == [True] and len(turns) > 10
	assert max(turns) < max(1.0, took / 4), f"a turn took {max(turns):.3f} s of the {took:.3f} s of the transfers"
	for one, other in [*pairs, (talker.socket, listener)]:
		one.close()
		other.close()


def test_urgent_data_does_not_stop_the_stream(host, origin):
	with pair(host, origin) as (opener, accepted):
		accepted.sendall(b"before")
		accepted.send(b"!", socket.MSG_OOB)
		accepted.sendall(b"after")
		accepted.close()
		assert opener.receive_all() in (b"beforeafter", b"before!after")


def test_an_opener_that_reads_no_more_can_still_send(host, origin):
	with pair(host, origin) as (opener, accepted):
		opener.socket.shutdown(socket.SHUT_RD)
		accepted.sendall(b"for nobody")
		exchange_up(opener, accepted)


# --- pressure

@pytest.mark.parametrize("direction", ["to the destination", "to the opener"])
def test_a_reader_that_stalls_stalls_its_sender_and_nothing_is_lost(host, origin, direction):
	with pair(host, origin) as (opener, accepted):
		sender, reader = opener.socket, accepted
		if direction == "to the opener":
			sender, reader = reader, sender
		taken = transfer.stuff(sender, MOST_IN_FLIGHT)
		sender.shutdown(socket.SHUT_WR)
		assert transfer.receive(reader)[0] == taken


def test_stalled_streams_cost_hostd_a_bounded_amount_of_memory(host, origin):
	count = 40
	with pair(host, origin) as (first, accepted_first):
		exchange(first, accepted_first)
		before = host.memory()
		openers = [host.open(origin.destination) for _ in range(count)]
		accepted = [origin.accept() for _ in openers]
		for opener in openers:
			assert opener.wait()
			transfer.stuff(opener.socket, MOST_IN_FLIGHT, quiet=0.02)
		for opener in openers:
			transfer.stuff(opener.socket, MOST_IN_FLIGHT, quiet=0.02)
		per_stream = (host.memory() - before) / count
		assert host.is_sanitized or per_stream < 300 * 1024, f"{per_stream:.0f} bytes for each stalled stream"
		exchange(first, accepted_first)
		for end in openers + accepted:
			end.close()


def test_a_stalled_stream_does_not_use_the_processor(host, origin):
	with pair(host, origin) as (opener, accepted):
		transfer.stuff(opener.socket, MOST_IN_FLIGHT, quiet=1.0)
		transfer.stuff(accepted, MOST_IN_FLIGHT, quiet=1.0)
		begun, used = time.monotonic(), host.processor_seconds()
		transfer.stuff(opener.socket, 0, quiet=1.0)
		assert host.processor_seconds() - used < 0.2 * (time.monotonic() - begun)


def test_a_half_closed_stream_does_not_use_the_processor(host, origin):
	with pair(host, origin) as (opener, accepted), pair(host, origin) as (other, other_accepted):
		opener.finish()
		other_accepted.shutdown(socket.SHUT_WR)
		assert accepted.recv(1) == b"" and other.receive(1) == b""
		begun, used = time.monotonic(), host.processor_seconds()
		assert opener.events(select.POLLIN, 1.0) == 0
		assert host.processor_seconds() - used < 0.2 * (time.monotonic() - begun)


# --- idleness

def test_an_idle_stream_is_closed_and_a_busy_one_is_not(start, origin):
	host = start(timeouts="header=5s dial=10s idle=2s drain=1s")
	with pair(host, origin) as (idle, idle_accepted), pair(host, origin) as (busy, busy_accepted):
		while not idle.events(select.POLLIN, 0.05):
			exchange(busy, busy_accepted, 10)
		assert idle.receive_all() == b""
		assert not idle.probe()
		exchange(busy, busy_accepted)
		assert host.outcome(idle.id)[1] == "timed-out"


def test_traffic_in_one_direction_keeps_a_stream_alive(start, origin):
	host = start(timeouts="header=5s dial=10s idle=2s drain=1s")
	with pair(host, origin) as (idle, _), pair(host, origin) as (feed, feed_accepted):
		while not idle.events(select.POLLIN, 0.05):
			feed_accepted.sendall(b"tick")
			assert feed.receive(4) == b"tick"
		exchange(feed, feed_accepted)
