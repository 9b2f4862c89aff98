# SPDX-License-Identifier: MIT
"""Two machines: what a vhost-user device between the guest and hostd does to streams, and that commands in the guest
are as if they ran here. tests/vm/outside.py runs this."""
import signal
import threading
import time

from support import bulk, peer, process, transport
from support.airlock import PATH
from support.hostd import TOP

PYTHON = "/usr/bin/python3"


def in_guest(*command, **options):
	return process.run([*transport.enclave_side(), *map(str, command)], **{"env": {"PATH": PATH}, **options})


# --- in_guest

def test_a_command_in_the_guest_is_as_if_it_ran_here(directory):
	result = in_guest("sh", "-c", "cat; echo error >&2; pwd; echo $NAME; exit 7", input="input\n", cwd=directory,
		env={"NAME": "value", "PATH": PATH})
	assert (result.status, result.stdout, result.stderr) == (7, f"input\n{directory}\nvalue\n", "error\n")
	assert in_guest("sh", "-c", "kill -KILL $$").status == 137


def test_files_go_there_and_come_back(directory):
	(directory / "here").write_text("of here\n")
	(directory / "folder").mkdir()
	result = in_guest("sh", "-c", f"cat {directory}/here; echo of there >{directory}/folder/there; uname -r")
	assert result.stdout.startswith("of here\n")
	assert (directory / "folder/there").read_text() == "of there\n"


def test_signals_reach_the_guest(background):
	program = background(process.Daemon([*transport.enclave_side(), "sh", "-c",
		"trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done"], env={"PATH": PATH}))
	program.wait_line("ready")
	assert program.stop(signal.SIGTERM) == 3
	assert program.lines == ["ready", "caught"]


def test_what_is_killed_here_ends_there(background):
	program = background(process.Daemon([*transport.enclave_side(), "sh", "-c", "echo $$; sleep 1000"],
		env={"PATH": PATH}))
	program.wait_line(str.isdigit)
	pid = program.lines[0]
	program.stop(signal.SIGKILL)
	assert in_guest("sh", "-c", f"for i in $(seq 50); do [ -e /proc/{pid} ] || exit 0; sleep 0.1; done; exit 1").status == 0


# --- the device

def test_doctor_finds_the_cid_and_hostd(airlock):
	result = airlock.tool("doctor")
	found = {}
	for line in result.stdout.splitlines():
		finding, topic, text = line.split(None, 2)
		found.setdefault(topic, (finding, text))
	print(result.stdout)
	assert result.status == 0, result
	assert found["vsock"][0] == "ok" and f"local CID {transport.CID}" in found["vsock"][1]
	assert found["hostd"][0] == "ok" and "round trip" in found["hostd"][1]


def test_the_gate_holds(airlock):
	result = airlock.tool("doctor")
	assert "withholds writability for the 50 ms asked for" in result.stdout, result.stdout


# Neither direction is shut before both are done: what the device does of that shows below.
EXCHANGE = """
import socket, sys, threading
sys.path.insert(0, sys.argv[3])
import bulk
sock, size = socket.create_connection((sys.argv[1], int(sys.argv[2]))), int(sys.argv[4])
def send():
	for block in bulk.blocks(size, 1):
		sock.sendall(block)
sender = threading.Thread(target=send)
sender.start()
print(bulk.read_digest(bulk.first(sock, size)))
sender.join()
"""


def test_sixty_four_mebibytes_each_way_at_once(airlock, peers):
	size, received = 64 << 20, []

	def serve(connection):
		sender = threading.Thread(target=lambda: [connection.send(block) for block in bulk.blocks(size, 2)])
		sender.start()
		received.append(bulk.read_digest(bulk.first(connection.sock, size)))
		sender.join()
		connection.read_all()
	origin = peers.listen(serve)
	result = airlock.run([PYTHON, "-c", EXCHANGE, origin.host, origin.port, TOP / "tests/support", size], timeout=120)
	assert result.stdout == f"{bulk.digest_of(size, 2)}\n", result
	assert received == [bulk.digest_of(size, 1)]


MANY = """
import socket, sys
socks = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(int(sys.argv[3]))]
for number, sock in enumerate(socks):
	sock.sendall(b"%08d" % number)
print(sum(sock.recv(100) == b"%08d" % number for number, sock in enumerate(socks)))
"""


def test_two_hundred_streams_at_once(airlock, hostd, peers):
	airlock.use(hostd(limit="connections=1000 rate=100000/s"))
	origin = peers.listen(peer.echo)
	result = airlock.run([PYTHON, "-c", MANY, origin.host, origin.port, 200], timeout=120)
	assert (result.status, result.stdout) == (0, "200\n"), result


def test_a_close_in_the_guest_ends_the_destinations_connection(airlock, peers):
	origin = peers.listen(peer.swallow)
	program = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).send(b'x')"
	result = airlock.run([PYTHON, "-c", program, origin.host, origin.port])
	assert result.status == 0, result
	(connection,) = origin.wait_connections(1)
	assert connection.wait_end() == "eof" and connection.received == b"x"


def test_a_half_close_in_the_guest_reaches_the_destination(airlock, peers):
	origin = peers.listen(peer.swallow)
	program = """
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.send(b"all")
sock.shutdown(socket.SHUT_WR)
sock.settimeout(10)
print(sock.recv(1))
"""
	result = airlock.run([PYTHON, "-c", program, origin.host, origin.port])
	assert result.stdout == "b''\n", result


def test_what_was_sent_before_a_close_arrives(airlock, peers):
	"""As much as all buffers take, to a destination that reads it ten seconds later: longer than the guest's kernel
	waits for the end."""
	def serve(connection):
		connection.hold()
		connection.read_all()
	origin = peers.listen(serve)
	program = """
import select, socket, sys
sock, sent = socket.create_connection((sys.argv[1], int(sys.argv[2]))), 0
sock.setblocking(False)
while select.select([], [sock], [], 1)[1]:
	try:
		sent += sock.send(bytes(1 << 16))
	except BlockingIOError:
		pass
sock.close()
print(sent)
"""
	result = airlock.run([PYTHON, "-c", program, origin.host, origin.port])
	(connection,) = origin.wait_connections(1)
	time.sleep(10)
	connection.release()
	assert connection.wait_end(30) == "eof"
	assert len(connection.received) == int(result.stdout)


def test_a_transmission_of_a_mebibyte_arrives(airlock, peers):
	"""By libc's own stdio, which the library does not see and so does not cut."""
	origin = peers.listen(lambda connection: connection.send(b"%d" % len(connection.read(1 << 20))))
	program = """
import ctypes, os, socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(os.dup(sock.fileno()), b"w"))
libc.fwrite(bytes(1 << 20), 1, 1 << 20, stream)
libc.fflush(stream)
print(sock.recv(100).decode())
"""
	result = airlock.run([PYTHON, "-c", program, origin.host, origin.port], timeout=15)
	assert result.stdout == "1048576\n", result


def test_a_refused_connect_that_did_not_wait_fails_at_its_first_use(airlock, peers):
	"""As everywhere when the gate does not hold."""
	origin = peers.refuse()
	program = """
import socket, sys
sock = socket.socket()
sock.setblocking(False)
sock.connect_ex((sys.argv[1], int(sys.argv[2])))
sock.settimeout(5)
print(sock.recv(1))
"""
	result = airlock.run([PYTHON, "-c", program, origin.host, origin.port])
	assert "ConnectionRefusedError" in result.stderr, result


def test_a_program_learns_that_hostd_was_killed(airlock, peers, background):
	origin = peers.listen(peer.hold)
	program = background(airlock.popen([PYTHON, "-c", """
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.send(b"x")
try:
	print("end", sock.recv(1), flush=True)
except OSError as error:
	print(type(error).__name__, flush=True)
""", origin.host, origin.port]))
	origin.wait_connections(1)[0].read(1)
	airlock.hostd.send_signal(signal.SIGKILL)
	assert program.has_ended(20), program.output
	airlock.hostd.stop()
	assert program.lines == ["ConnectionResetError"]
