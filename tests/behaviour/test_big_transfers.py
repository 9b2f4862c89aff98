# SPDX-License-Identifier: MIT
"""Transfers much larger than any buffer, both ways at the same time, and such that end by a reset.

AIRLOCK_BIG is the number of bytes each way: 1 GiB unless it says otherwise.
"""
import os
import pathlib
import shlex
import threading

import pytest

from support import bulk, process

SIZE = int(os.environ.get("AIRLOCK_BIG", 1 << 30))
OUT, BACK = 1, 2  # seeds
SOME = 16 << 20  # what moves before a reset: more than is ever in flight
BULK = ["/usr/bin/python3", str(pathlib.Path(bulk.__file__))]


@pytest.fixture(scope="module")
def expected():
	"""The digests of both directions."""
	return bulk.digest_of(SIZE, OUT), bulk.digest_of(SIZE, BACK)


def both_ways(received, head=b"", read=None):
	"""Sends head and SIZE bytes while it receives as many, in lockstep; appends the digest of those to
	received. read(connection) gives another readinto than the plain socket's."""
	def serve(connection):
		step = bulk.Lockstep()
		read_into = read(connection) if read else connection.sock.recv_into
		connection.send(head)
		sender = threading.Thread(target=bulk.send_in_step, args=(connection.sock, SIZE, BACK, step))
		sender.start()
		try:
			received.append(bulk.read_digest(read_into, lambda count: step.move("in", count)))
		finally:
			step.end("in")
			sender.join()
		if not read:
			connection.half_close()
	return serve


class ChunkedBody:
	"""The body of an HTTP/1.1 upload whose length was not announced (RFC 9112, 7.1)."""

	def __init__(self, connection):
		self._file = connection.sock.makefile("rb", buffering=bulk.BLOCK)
		while self._file.readline() != b"\r\n":
			pass
		self._left = 0

	def readinto(self, buffer):
		if not self._left:
			self._left = int(self._file.readline(), 16)
			if not self._left:
				self._file.readline()
				return 0
		count = self._file.readinto(memoryview(buffer)[:self._left])
		self._left -= count
		if not self._left:
			self._file.readline()
		return count


def shell(pipeline):
	return ["bash", "-o", "pipefail", "-c", pipeline]


def words(*parts):
	return " ".join(shlex.quote(str(part)) for part in parts)


GENERATE, DIGEST = words(*BULK, "generate", SIZE, OUT), words(*BULK, "digest")


@pytest.mark.slow
@pytest.mark.limit(600)
def test_curl_uploads_and_downloads_at_once(both, peers, expected):
	received = []
	head = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n".encode()
	origin = peers.listen(both_ways(received, head, lambda connection: ChunkedBody(connection).readinto))
	curl = words("curl", "-sS", "-N", "-H", "Expect:", "-T", "-", f"http://{origin.host}:{origin.port}/")
	pair = both(shell(f"{GENERATE} | {curl} | {DIGEST}"), timeout=250).assert_same()
	assert (pair.airlock.status, pair.airlock.stdout) == (0, f"{expected[1]}\n"), pair.describe()
	assert received == [expected[0]] * 2


@pytest.mark.slow
@pytest.mark.limit(600)
def test_python_sends_and_receives_at_once(both, peers, expected):
	received = []
	origin = peers.listen(both_ways(received))
	pair = both([*BULK, "exchange", origin.host, origin.port, SIZE, OUT], timeout=250).assert_same()
	assert pair.airlock.stdout == f"sent: done\nreceived: {expected[1]}\n", pair.describe()
	assert received == [expected[0]] * 2


@pytest.mark.slow
@pytest.mark.limit(600)
def test_netcat_sends_and_receives_at_once(both, peers, expected):
	received = []
	origin = peers.listen(both_ways(received))
	pair = both(shell(f"{GENERATE} | {words('nc.openbsd', '-N', origin.host, origin.port)} | {DIGEST}"),
		timeout=250).assert_same()
	assert (pair.airlock.status, pair.airlock.stdout) == (0, f"{expected[1]}\n"), pair.describe()
	assert received == [expected[0]] * 2


# --- a reset in the middle

def feed_then_reset(head=b""):
	"""SOME of what was announced, the other side's bytes unread, then a reset."""
	def serve(connection):
		connection.send(head)
		for block in bulk.blocks(SOME, BACK):
			connection.send(block)
		connection.reset()
	return serve


def take_then_reset(connection):
	taken = 0
	while taken < SOME:
		taken += len(connection.sock.recv(bulk.BLOCK))
	connection.reset()


def take_and_feed_then_reset(connection):
	step = bulk.Lockstep()
	feeder = threading.Thread(target=bulk.send_in_step, args=(connection.sock, SOME, BACK, step))
	feeder.start()
	taken = 0
	while taken < SOME:
		taken += len(connection.sock.recv(bulk.BLOCK))
	step.end("in")
	feeder.join()
	connection.reset()


@pytest.mark.parametrize("head", ["HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
	"HTTP/1.0 200 OK\r\n\r\n"], ids=["announced", "not-announced"])
def test_curl_tells_of_a_reset_download(both, peers, head):
	origin = peers.listen(feed_then_reset(head.encode()))
	pair = both(["curl", "-sS", "-o", "/dev/null", f"http://{origin.host}:{origin.port}/"]).assert_same()
	assert pair.airlock.status == 56 and "Connection reset by peer" in pair.airlock.stderr, pair.describe()


RECEIVE = """
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
try:
	while sock.recv(1 << 20):
		pass
	print("ended")
except OSError as error:
	print(error)
"""

SEND = """
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
block = bytes(1 << 20)
try:
	for _ in range(1 << 10):
		sock.sendall(block)
	print("all sent")
except OSError as error:
	print(error)
try:
	print(sock.send(b"more"))
except OSError as error:
	print(error)
"""


def test_python_tells_of_a_reset_while_it_receives(both, peers):
	origin = peers.listen(feed_then_reset())
	pair = both(["/usr/bin/python3", "-c", RECEIVE, origin.host, origin.port]).assert_same()
	assert pair.airlock.stdout == "[Errno 104] Connection reset by peer\n", pair.describe()


def test_python_tells_of_a_reset_while_it_sends(both, peers):
	origin = peers.listen(take_then_reset)
	pair = both(["/usr/bin/python3", "-c", SEND, origin.host, origin.port]).assert_same()
	assert pair.airlock.stdout == "[Errno 104] Connection reset by peer\n[Errno 32] Broken pipe\n", \
		pair.describe()


def test_python_tells_of_a_reset_while_it_does_both(both, peers):
	"""TCP tells it to the first of the two threads, and an end or a broken pipe to the other."""
	origin = peers.listen(take_and_feed_then_reset)
	pair = both([*BULK, "exchange", origin.host, origin.port, 1 << 30, OUT])
	for result in (pair.native, pair.airlock):
		assert "ConnectionResetError" in result.stdout and "done" not in result.stdout, pair.describe()


def test_netcat_stops_at_a_reset_as_it_does_over_tcp(both, peers):
	"""It says nothing of errors: that it read no more of what it had to send is all there is to see."""
	origin = peers.listen(take_then_reset)
	pair = both(["bash", "-c", f"head -c {1 << 30} /dev/zero | {words('nc.openbsd', origin.host, origin.port)}"
		"; echo ${PIPESTATUS[@]}"])
	pair.assert_same()
	assert pair.airlock.stdout.startswith("141 "), "head was killed by SIGPIPE: " + pair.describe()
