# SPDX-License-Identifier: MIT
"""Streams over AF_VSOCK as such: many at once, a port that nobody listens on, a full backlog, a hostd that dies."""
import contextlib
import errno
import re
import signal
import socket

import pytest

from support import peer, process, transport, wire, world
from support.airlock import library
from support.daemon import Host
from support.origin import Origin, exchange, pair

MANY = """
import resource, selectors, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
selector, socks = selectors.EpollSelector(), []
for number in range(count):
	sock = socket.socket()
	sock.setblocking(False)
	sock.connect_ex((host, port))
	selector.register(sock, selectors.EVENT_WRITE, number)
	socks.append(sock)
open_now = 0
while open_now < count:
	for key, _ in selector.select(30) or sys.exit(f"stuck at {open_now}"):
		if key.events != selectors.EVENT_WRITE:
			continue  # an echo, before the last is open
		error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
		if error:
			sys.exit(f"{key.data}: {error}")
		key.fileobj.send(b"%08d" % key.data)
		selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
		open_now += 1
print("open", open_now, flush=True)
got = 0
while got < count:
	for key, _ in selector.select(30) or sys.exit(f"silent at {got}"):
		if key.fileobj.recv(100) != b"%08d" % key.data:
			sys.exit(f"{key.data} got something else")
		selector.unregister(key.fileobj)
		got += 1
print("echoed", got, flush=True)
"""


# For more connections than threads are good for.
ECHO_SERVER = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
async def serve(reader, writer):
	while data := await reader.read(65536):
		writer.write(data)
	writer.close()
async def main():
	server = await asyncio.start_server(serve, sys.argv[1], 0, backlog=4096)
	print("port", server.sockets[0].getsockname()[1], flush=True)
	await server.serve_forever()
asyncio.run(main())
"""


@pytest.mark.limit(170)
def test_two_thousand_streams_at_once(airlock, background, hostd):
	server = background(process.Daemon(["/usr/bin/python3", "-c", ECHO_SERVER, world.PUBLIC]))
	port = server.wait_line("port ").split()[1]
	airlock.use(hostd(limit="connections=3000 rate=100000/s"))
	result = airlock.run(["/usr/bin/python3", "-c", MANY, world.PUBLIC, port, 2000], timeout=150)
	assert (result.status, result.stdout) == (0, "open 2000\nechoed 2000\n"), result


def listener(port, backlog):
	"""Of our own, with the gate's receive allowance, that never accepts."""
	sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
	sock.bind((transport.CID, port))
	sock.listen(backlog)
	return sock


def test_a_full_backlog_is_an_unreachable_network_soon(airlock, probe):
	endpoint = transport.new_endpoint(airlock.home)
	first = int(re.search(r":(\d+)-", endpoint)[1])
	with contextlib.ExitStack() as stack:
		stack.enter_context(listener(first, 1))
		fillers, failure = [], None
		while failure is None and len(fillers) < 20:
			fillers.append(stack.enter_context(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)))
			failure = fillers[-1].connect_ex((transport.CID, first)) or None
		assert failure == errno.ECONNRESET, "what vsock says of a full backlog"
		config = airlock.write(endpoint=f"vsock:local:{first}")
		# Preloaded by hand: `airlock run` asks hostd first.
		result = airlock.native([probe("../behaviour/connecting"), "blocking", world.PUBLIC, "80"],
			env={"LD_PRELOAD": str(library()), "AIRLOCK_CONF": str(config)})
	assert "connect: -1 ENETUNREACH" in result.stdout, result
	assert result.seconds < 5


def test_a_program_learns_that_hostd_was_killed(airlock, peers, probe, background):
	"""A dead daemon's kernel closes its streams; nobody is left to ask, so the end is not taken for an orderly one."""
	origin = peers.listen(peer.hold)
	program = background(airlock.popen([probe("../behaviour/transfer"), "until-the-end", origin.host, origin.port, "x"]))
	origin.wait_connections(1)[0].read(1)
	hostd = airlock.hostd
	hostd.send_signal(signal.SIGKILL)
	assert program.has_ended(20), program.output
	hostd.stop()
	assert "end: -1 ECONNRESET" in program.lines, program.output


def test_ends_that_meet_are_both_orderly(directory):
	"""A vsock whose own side is shut down forgets the other's end: that is no failure to tell the destination of."""
	host = Host(directory, "allow 127.0.0.0/8")
	try:
		with Origin() as origin:
			for _ in range(10):
				with pair(host, origin) as (opener, accepted):
					exchange(opener, accepted)
					with host.stopped():
						accepted.shutdown(socket.SHUT_WR)
						opener.close()
					assert accepted.recv(1) == b""
	finally:
		host.stop()


def test_a_gate_is_held_for_as_long_as_it_is_asked(hostd):
	daemon = hostd()
	for milliseconds in (50, 300, 1000):
		with wire.gate(transport.target(daemon.endpoint), milliseconds) as opener:
			assert not opener.events(timeout=milliseconds / 1000 * 0.8), "writable too early"
			assert opener.wait()


def test_fionread_tells_what_is_there(airlock, peers):
	def serve(connection):
		connection.send(bytes(5000))
		connection.read_all()
	origin = peers.listen(serve)
	result = airlock.run(["/usr/bin/python3", "-c", """
import array, fcntl, socket, sys, termios
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def there():
	value = array.array("i", [-1])
	fcntl.ioctl(sock, termios.FIONREAD, value)
	return value[0]
print(there() in (0, 5000))
sock.recv(5000, socket.MSG_PEEK | socket.MSG_WAITALL)
print(there())
sock.recv(1234)
print(there())
sock.recv(10000)
print(there())
""", origin.host, origin.port])
	assert (result.status, result.stdout) == (0, "True\n5000\n3766\n0\n"), result
