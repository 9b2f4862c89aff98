# SPDX-License-Identifier: MIT
"""Two machines: what a vhost-user device between the guest and hostd does to streams, and that commands in the guest
are as if they ran here. tests/vm/outside.py runs this."""
import signal

from support import bulk, peer, process, transport
from support.hostd import TOP

PYTHON = "/usr/bin/python3"


def in_guest(*command, **options):
	return process.run([*transport.enclave_side(), *map(str, command)], **options)


# --- in_guest

def test_a_command_in_the_guest_is_as_if_it_ran_here(directory):
	result = in_guest("sh", "-c", "cat; echo error >&2; pwd; echo $NAME; exit 7", input="input\n", cwd=directory,
		env={"NAME": "value", "PATH": "/usr/bin:/bin"})
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
		"trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done"]))
	program.wait_line("ready")
	assert program.stop(signal.SIGTERM) == 3
	assert program.lines == ["ready", "caught"]


def test_what_is_killed_here_ends_there(background):
	program = background(process.Daemon([*transport.enclave_side(), "sh", "-c", "echo $$; sleep 1000"]))
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


# Neither direction is shut before the other is done: what a device does of that shows elsewhere.
EXCHANGE = """
import socket, sys
sys.path.insert(0, sys.argv[3])
import bulk
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
out, back = int(sys.argv[4]), int(sys.argv[5])
for block in bulk.blocks(out, 1):
	sock.sendall(block)
def read(buffer):
	global back
	count = sock.recv_into(memoryview(buffer)[:min(back, len(buffer))])
	back -= count
	return count
print(bulk.read_digest(read))
"""


def announced(out, back, received):
	"""Serves EXCHANGE."""
	def serve(connection):
		left = out

		def read(buffer):
			nonlocal left
			count = connection.sock.recv_into(memoryview(buffer)[:min(left, len(buffer))])
			left -= count
			return count

		received.append(bulk.read_digest(read))
		for block in bulk.blocks(back, 2):
			connection.send(block)
		connection.read_all()
	return serve


def exchange(airlock, peers, out, back):
	received = []
	origin = peers.listen(announced(out, back, received))
	result = airlock.run([PYTHON, "-c", EXCHANGE, origin.host, origin.port, TOP / "tests/support", out, back], timeout=120)
	assert result.stdout == f"{bulk.digest_of(back, 2)}\n", result
	assert received == [bulk.digest_of(out, 1)]


def test_thirty_two_mebibytes_to_the_destination(airlock, peers):
	exchange(airlock, peers, 32 << 20, 1)


def test_thirty_two_mebibytes_to_the_program(airlock, peers):
	exchange(airlock, peers, 1, 32 << 20)


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
	result = airlock.run([PYTHON, "-c", "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).send(b'x')",
		origin.host, origin.port])
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
