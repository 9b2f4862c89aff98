# SPDX-License-Identifier: MIT
"""No plaintext leaves, by whichever way a program writes and whatever becomes of airlock-tls.

What a parent sees is written down twice: on its network by a packet socket, and between the enclave and
hostd by a relay. Both records are shown to work by the same program on a direct route."""
import contextlib
import os
import signal
import socket
import time

import pytest

from support import peer, process, tap as tap_module, tls_origin, world
from support.hostd import TOP

NAME = "secret.test"
NOBODY = 65534
WAYS = ["write", "writev", "sendmsg", "stdio", "dprintf", "sendfile", "splice", "io_uring", "raw-syscall",
	"forked-child", "executed-child", "killed-child"]


@pytest.fixture
def leaks(probe):
	return probe("leaks", "-l:liburing.a")  # linked in, so that the launcher does not refuse it


@pytest.fixture
def marker():
	return f"MARKER-{os.urandom(12).hex()}-"


@pytest.fixture
def tap(directory, airlock):
	"""Between enclave and hostd."""
	relay = tap_module.Tap(directory / "tap.sock", airlock.hostd.directory / "hostd.sock")
	yield relay
	relay.stop()


@pytest.fixture
def recording(directory):
	"""with recording() as record: ... ; then record.network holds what crossed the parent's network."""
	class Record:
		network = b""

	@contextlib.contextmanager
	def start():
		record, file = Record(), directory / "recording"
		recorder = process.Daemon(["/usr/bin/python3", str(TOP / "demo/recorder.py"), str(file)])
		try:
			recorder.wait_line("recording")
			yield record
		finally:
			status = recorder.stop()
		assert status == 0, f"the recorder lost packets: {recorder.output}"
		record.network = file.read_bytes()

	return start


@pytest.fixture
def secret(peers, dns, pki):
	"""A TLS server that swallows; NAME leads there."""
	dns.add(NAME, world.PUBLIC)
	return peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME)), take_all))


def take_all(session):
	session.read_all()
	session.end()


def took(origin):
	return b"".join(connection.received for connection in origin.connections)


def skip_unless_permitted(result):
	if result.status == 77:
		pytest.skip(result.stdout.splitlines()[-1])
	assert result.status == 0 and "sent: 0" in result.stdout, result


@pytest.mark.parametrize("way", WAYS)
def test_the_records_hold_what_a_direct_route_lets_through(airlock, peers, dns, tap, recording, leaks, marker, way):
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(peer.swallow)
	airlock.configure(endpoint=tap.endpoint)
	with recording() as record:
		result = airlock.run([leaks, way, NAME, origin.port, marker])
		skip_unless_permitted(result)
		origin.wait_connections()[0].wait_end()
	assert marker.encode() in took(origin)
	assert marker.encode() in record.network and marker.encode() in tap.bytes


@pytest.mark.parametrize("way", WAYS)
def test_on_a_tls_route_they_hold_nothing(tls, secret, tap, recording, leaks, marker, way):
	tls.configure("route * tls", endpoint=tap.endpoint)
	with recording() as record:
		result = tls.run([leaks, way, NAME, secret.port, marker])
		skip_unless_permitted(result)
		(connection,) = secret.connections
		connection.wait_end()
	assert marker.encode() in connection.received, "it did arrive, inside TLS"
	for seen in (record.network, tap.bytes, connection.session.raw):
		assert b"\x16\x03" in seen, "the handshake was recorded"
		assert b"MARKER" not in seen and marker.encode() not in seen


def test_what_a_killed_program_wrote_arrives_without_gaps(tls, secret, leaks, marker):
	result = tls.run([leaks, "killed-child", NAME, secret.port, marker])
	assert "sent: 0" in result.stdout, result
	(connection,) = secret.connections
	assert connection.wait_end() == "eof"
	count = len(connection.received) // len(marker)
	assert count > 0 and connection.received.startswith(marker.encode() * count)


# --- without airlock-tls

def check_empty(record, tap):
	for seen in (record.network, tap.bytes):
		assert b"MARKER" not in seen


def test_absent(tls, secret, tap, recording, leaks, marker):
	"""Nobody listens where programs are sent: connect() fails at once, and hostd is not even asked."""
	tls.configure("route * tls", endpoint=tap.endpoint)
	with recording() as record:
		for way in WAYS:
			result = tls.run_preloaded([leaks, way, NAME, secret.port, marker])
			assert result.status == 1 and "connect: -1 E" in result.stdout, result
	check_empty(record, tap)
	assert not secret.connections and b"\x16\x03" not in tap.bytes


def test_a_socket_that_nobody_serves(tls, secret, tap, recording, leaks, marker):
	"""What an airlock-tls that died leaves behind."""
	tls.configure("route * tls", endpoint=tap.endpoint)
	with socket.socket(socket.AF_UNIX) as stale:
		stale.bind(tls.path)
	with recording() as record:
		result = tls.run_preloaded([leaks, "write", NAME, secret.port, marker])
	assert result.status == 1 and "connect: -1 E" in result.stdout, result
	check_empty(record, tap)
	assert not secret.connections


def test_frozen_before_connect(tls, secret, tap, recording, leaks, marker):
	"""A stopped airlock-tls accepts nothing; the gate keeps every writer waiting."""
	tls.configure("route * tls", endpoint=tap.endpoint)
	kept = tls.keep()
	with recording() as record:
		kept.send_signal(signal.SIGSTOP)
		try:
			for way in ("write", "io_uring", "raw-syscall"):
				result = tls.run_preloaded(["timeout", "2", leaks, way, NAME, secret.port, marker])
				assert "sent: 0" not in result.stdout and result.status in (1, 124), result
		finally:
			kept.send_signal(signal.SIGCONT)
	check_empty(record, tap)
	assert not took(secret)


def check_reset(program):
	"""As TCP's: the first call afterwards says ECONNRESET, later ones EPIPE and an end."""
	assert program.lines[-2:] in (["write: -1 ECONNRESET", "end: 0"], ["write: -1 EPIPE", "end: -1 ECONNRESET"],
		["write: -1 ECONNRESET", "end: -1 ECONNRESET"]), program.output


@pytest.mark.parametrize("freeze", [False, True], ids=["running", "frozen"])
def test_killed_in_mid_connection(tls, secret, tap, recording, leaks, marker, freeze):
	"""The program writes all the while. Its stream resets: no end that looks like the server's."""
	tls.configure("route * tls", endpoint=tap.endpoint)
	kept = tls.keep()
	with recording() as record:
		program = tls.popen_preloaded([leaks, "when-told", NAME, secret.port, marker])
		program.wait_line("ready")
		if freeze:
			kept.send_signal(signal.SIGSTOP)
		program.send_signal(signal.SIGUSR1)
		time.sleep(0.3)  # it writes; frozen, into buffers that nobody reads
		kept.send_signal(signal.SIGKILL)
		program.wait_line("end:")
	check_empty(record, tap)
	check_reset(program)


def test_hostd_killed_in_mid_connection(tls, secret, hostd, airlock, leaks, marker, background):
	"""The other half of the path dies: a reset too."""
	own = airlock.use(hostd())
	tls.configure("route * tls")
	tls.keep()
	program = tls.popen_preloaded([leaks, "when-told", NAME, secret.port, marker])
	program.wait_line("ready")
	program.send_signal(signal.SIGUSR1)
	time.sleep(0.1)
	own.stop(signal.SIGKILL)
	program.wait_line("end:")
	check_reset(program)


def test_a_refused_server_gets_no_byte(tls, peers, dns, pki, tap, recording, leaks, marker):
	"""The certificate is another's: nothing that the program had to say has been sent anywhere."""
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue("other.test")), take_all))
	tls.configure("route * tls", endpoint=tap.endpoint)
	with recording() as record:
		result = tls.run([leaks, "write", NAME, origin.port, marker])
	assert result.status == 1 and "connect: -1 EPROTO" in result.stdout, result
	check_empty(record, tap)
	assert not took(origin) and b"\x16\x03" in tap.bytes


def test_its_memory_is_its_own(tls, directory, background):
	"""PR_SET_DUMPABLE 0: no core, and no other program of the same user may attach. /proc shows it: what
	belongs to such a process belongs to root there (proc(5))."""
	if not world.is_real_root:
		pytest.skip("needs root to become another user")
	directory.chmod(0o777)
	become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
	kept = tls.keep(prefix=become)
	other = background(process.Daemon([*become, "sleep", "1000"]))
	owner = lambda daemon: os.stat(f"/proc/{daemon.pid}/environ").st_uid
	peer.wait_until(lambda: owner(other) == NOBODY, what="another user's process")
	assert owner(kept) == 0
