# SPDX-License-Identifier: MIT
"""Many streams, few descriptors, and peers that are killed."""

import contextlib
import resource
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from support import peer, process, wire
from support.hostd import TOP
from support.origin import Origin, RefusingPort, SilentPort, exchange, match, pair

HARD_LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
# hostd has two descriptors for a stream, and so has this process.
STREAMS = min(10_000, (HARD_LIMIT - 400) // 2)
ATTEMPTS = 10_000
ROOMY = ["prlimit", f"--nofile={HARD_LIMIT}:{HARD_LIMIT}", "--"]


@pytest.fixture
def many_descriptors():
	"""Room for both ends of all the streams in this process."""
	soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
	resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
	yield
	resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_many(host, origin, stack, count, batch=500):
	"""count granted streams as (opener, accepted) pairs."""
	pairs = []
	while len(pairs) < count:
		size = min(batch, count - len(pairs))
		openers = [stack.enter_context(host.open(origin.destination)) for _ in range(size)]
		assert all(opener.wait() for opener in openers)
		pairs += match(openers, origin)
		for _, accepted in pairs[-size:]:
			stack.enter_context(accepted)
	return pairs


@pytest.mark.slow
def test_ten_thousand_idle_streams_cost_little_and_stay_usable(start, many_descriptors):
	host = start(prefix=ROOMY)
	with contextlib.ExitStack() as stack:
		origin = stack.enter_context(Origin(backlog=4096))
		with pair(host, origin) as (opener, accepted):
			exchange(opener, accepted)
		before, descriptors = host.memory(), host.settled_descriptors()
		pairs = open_many(host, origin, stack, STREAMS)
		per_stream = (host.memory() - before) / STREAMS
		assert host.is_sanitized or per_stream <= 4096, f"{per_stream:.0f} bytes for each idle stream"
		for opener, accepted in pairs:
			opener.send(b"ping")
		for opener, accepted in pairs:
			assert accepted.recv(4, socket.MSG_WAITALL) == b"ping"
			accepted.sendall(b"pong")
		for opener, accepted in pairs:
			assert opener.receive(4) == b"pong"
	wire.wait_until(lambda: host.descriptors() == descriptors, "all streams are closed", 60)


@pytest.mark.slow
def test_ten_thousand_cancelled_attempts_leak_no_descriptor(start):
	host = start(prefix=ROOMY)
	with SilentPort() as silent, RefusingPort() as refusing, Origin(backlog=4096) as origin:
		with pair(host, origin) as (opener, accepted):
			exchange(opener, accepted)
		before = host.settled_descriptors()
		request = wire.connect(silent.destination)
		for number in range(ATTEMPTS // 4):
			host.open(silent.destination).close()
			host.open(refusing.destination).close()
			with wire.Opener(host.path) as partial:
				partial.send(request[: number % 1024])
			with host.open(origin.destination):
				pass
		wire.wait_until(lambda: host.descriptors() == before, "the descriptors are back", 60)
		with Origin() as fresh, pair(host, fresh) as (opener, accepted):
			exchange(opener, accepted)


@pytest.mark.slow
def test_ten_thousand_short_streams_leave_memory_and_descriptors_where_they_were(host, peers):
	greeter = peers.listen(peer.send_then_close(b"hello"), host="127.0.0.1")

	def visit(count):
		for _ in range(count):
			with host.open(greeter.address) as opener:
				assert opener.wait()
				opener.finish()
				assert opener.receive_all() == b"hello"

	visit(2000)
	descriptors, memory = host.settled_descriptors(), host.memory()
	visit(10_000)
	assert host.settled_descriptors() == descriptors
	assert host.is_sanitized or host.memory() - memory < 1 << 20


# --- too few descriptors

def wait_decided(openers):
	"""Waits until hostd has answered each of them; closes those that it has. Returns how many were
	granted, and the ids of those that were refused."""
	grants, refused, poll = 0, [], select.poll()
	waiting = {opener.socket.fileno(): opener for opener in openers}
	for number in waiting:
		poll.register(number, select.POLLOUT)
	while waiting:
		ready = poll.poll(wire.PATIENCE * 1000)
		assert ready, f"{len(waiting)} openers were never answered"
		for number, events in ready:
			poll.unregister(number)
			opener = waiting.pop(number)
			opener.close()
			if events & select.POLLHUP:
				refused.append(opener.id)
			else:
				grants += 1
	return grants, refused


def test_a_flood_with_too_few_descriptors_neither_ends_nor_spins_hostd(start):
	host = start(prefix=["prlimit", "--nofile=100:100", "--"])
	with Origin(backlog=4096) as origin:
		flood = [host.open(origin.destination) for _ in range(400)]
		wire.wait_until(lambda: host.descriptors() > 80, "hostd is starved")
		host.settled_descriptors()
		begun, used = time.monotonic(), host.processor_seconds()
		with select.epoll() as nothing:
			nothing.poll(2.0)
		share = (host.processor_seconds() - used) / (time.monotonic() - begun)
		assert share < 0.2, f"{share:.0%} of a processor while starved"
		assert not host.has_ended()
		grants, refused = wait_decided(flood)
		assert grants > 0
		for stream_id in refused:
			assert host.outcome(stream_id)[:2] == ("limit", "limit")
		with Origin() as fresh, pair(host, fresh) as (opener, accepted):
			exchange(opener, accepted)


def test_streams_that_run_go_on_while_descriptors_are_used_up(start):
	host = start(prefix=["prlimit", "--nofile=100:100", "--"])
	with Origin(backlog=4096) as origin, Origin() as calm, pair(host, calm) as (opener, accepted):
		flood = [host.open(origin.destination) for _ in range(300)]
		wire.wait_until(lambda: host.descriptors() > 80, "hostd is starved")
		exchange(opener, accepted, 100_000)
		wait_decided(flood)
		exchange(opener, accepted)


# --- sudden death

OPENER = """
import sys
from support import wire
opener = wire.Opener(sys.argv[1], wire.connect(("127.0.0.1", int(sys.argv[2]))))
assert opener.wait()
opener.send(b"alive")
print("ready", flush=True)
sys.stdin.read()
"""

DESTINATION = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
accepted, _ = listener.accept()
accepted.recv(5)
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def child(script, *arguments):
	command = [sys.executable, "-c", script, *map(str, arguments)]
	running = subprocess.Popen(
		command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TOP / "tests"
	)
	try:
		yield running
	finally:
		running.kill()
		running.communicate()


def test_the_death_of_an_opener_ends_its_connection(host, origin):
	before = host.settled_descriptors()
	with child(OPENER, host.path, origin.port) as opener, origin.accept() as accepted:
		assert accepted.recv(5, socket.MSG_WAITALL) == b"alive"
		opener.kill()
		try:
			assert accepted.recv(1) == b""
		except ConnectionResetError:
			pass  # right too: the kernel closed the opener's end, whatever was in it
	wire.wait_until(lambda: host.descriptors() == before, "hostd lets go of the stream")
	assert host.is_answering()


def test_the_death_of_an_opener_in_mid_transfer_ends_its_connection(host, origin):
	with child(OPENER, host.path, origin.port) as opener, origin.accept() as accepted:
		assert accepted.recv(5, socket.MSG_WAITALL) == b"alive"
		accepted.sendall(bytes(100_000))
		opener.kill()
		with pytest.raises((ConnectionResetError, BrokenPipeError)):
			while True:
				accepted.sendall(bytes(100_000))


def test_the_death_of_a_destination_ends_the_stream(host):
	with child(DESTINATION) as destination:
		port = int(destination.stdout.readline())
		with host.open(("127.0.0.1", port)) as opener:
			assert opener.wait()
			opener.send(b"hello, and something that it will never read")
			assert destination.stdout.readline() == "ready\n"
			destination.kill()
			assert opener.receive_all() == b""
			assert not opener.probe()
			assert host.outcome(opener.id)[:2] == ("relay", "reset")


@pytest.mark.parametrize("state", ["relaying", "dialling", "before the request", "in status"])
def test_the_death_of_hostd_fails_the_opener_and_hangs_nobody(start, origin, state):
	host = start()
	with SilentPort() as silent, contextlib.ExitStack() as stack:
		opener = stack.enter_context(doomed(host, origin, silent, state))
		assert host.stop(signal.SIGKILL) == 128 + signal.SIGKILL
		events = opener.events(select.POLLIN | select.POLLOUT, wire.PATIENCE)
		assert events & select.POLLHUP
		assert not opener.probe()


def doomed(host, origin, silent, state):
	if state == "before the request":
		return wire.Opener(host.path)
	if state == "relaying":
		opener = host.open(origin.destination)
		assert opener.wait()
		return opener
	opener = host.open(silent.destination)
	wire.wait_until(lambda: host.outcome(opener.id, False)[0] == "dial", "the dial begins")
	if state == "dialling":
		return opener
	waiting = wire.Opener(host.path, wire.control(wire.STATUS, opener.id + b"\x01"))
	assert host.is_answering()
	opener.close()
	return waiting


def test_a_destination_sees_the_death_of_hostd(start, origin):
	host = start()
	with pair(host, origin) as (_, accepted):
		host.stop(signal.SIGKILL)
		try:
			assert accepted.recv(1) == b""
		except ConnectionResetError:
			pass


def test_a_new_hostd_takes_over_the_socket_file_of_a_dead_one(start, origin):
	host = start()
	host.stop(signal.SIGKILL)
	assert host.path.exists()
	second = process.Daemon(host.command)
	try:
		process.wait_listening(second, str(host.path))
		with pair(host, origin) as (opener, accepted):
			exchange(opener, accepted)
	finally:
		assert second.stop() == 0


def test_a_second_hostd_on_a_live_socket_is_refused(host, origin):
	second = process.run(host.command)
	assert second.status not in (0, 1)
	assert str(host.path) in second.stderr
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)
