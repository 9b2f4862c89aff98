# SPDX-License-Identifier: MIT
"""Programs where the gate does not hold: `gate off` is what `gate auto` comes to there."""
import pathlib

import pytest

from support import peer, process, tls_origin

# A connect with a timeout is a non-blocking one, and without a gate it succeeds before the destination has answered.
SEND_AND_STAY = """
import socket, sys, time
stream = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
stream.sendall(b"last words")
print("sent", flush=True)
time.sleep(60)
"""


@pytest.mark.stand_in("over AF_VSOCK the gate is there all the same, and holds the bytes back")
def test_what_a_program_sent_arrives_though_it_is_gone_before_the_answer(airlock, hostd, upstreams, peers, background):
	proxy = upstreams.socks5(hold=None)
	airlock.use(hostd(upstream=proxy.url))
	airlock.configure(gate="off")
	origin = peers.listen(peer.swallow)
	program = background(airlock.popen(["/usr/bin/python3", "-c", SEND_AND_STAY, origin.host, origin.port]))
	program.wait_line("sent")
	proxy.wait_asked()
	program.stop()
	proxy.release()
	connection = origin.wait_connections()[0]
	connection.wait_end()
	assert connection.received == b"last words"
	assert connection.end == "eof"
	peer.wait_until(lambda: "streams relaying 0\n" in airlock.hostd.admin("status").stdout, what="the stream's end")


SEND_CLOSE_AND_STAY = SEND_AND_STAY.replace("print", "stream.close()\nprint")


@pytest.mark.parametrize("route, gate", [("tls", "off"), ("tls tls=auto", "auto")])
@pytest.mark.parametrize("program", [SEND_CLOSE_AND_STAY, SEND_CLOSE_AND_STAY.replace("60", "0")], ids=["stays", "ends"])
def test_what_a_program_sent_before_the_handshake_arrives(tls, peers, dns, pki, background, program, route, gate):
	context = tls_origin.context(pki.root.issue("good.test"))
	origin = peers.listen(tls_origin.serve(context, tls_origin.swallow, before=lambda connection: connection.hold()))
	dns.add("good.test", origin.host)
	tls.configure(f"route * {route}", gate=gate)
	running = background(tls.airlock.popen(["/usr/bin/python3", "-c", program, "good.test", origin.port]))
	running.wait_line("sent")
	connection = origin.wait_connections()[0]
	connection.release()
	connection.wait_end()
	assert connection.received == b"last words"


@pytest.mark.parametrize("case", ["send-timeout", "interrupted-restart", "interrupted-beside-crash-handler"])
def test_a_blocking_connect_waits_as_long_as_it_has_to(airlock, both, peers, probe, case):
	airlock.configure(gate="off")
	origin = peers.drop()
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


def test_a_signal_interrupts_a_blocking_connect(airlock, both, peers, probe):
	airlock.configure(gate="off")
	origin = peers.drop(gives_up=False)
	result = both([probe("connecting"), "interrupted", origin.host, origin.port])
	assert result.airlock.stdout.splitlines()[0] == result.native.stdout.splitlines()[0], result.describe()


INTERRUPTED = """
import os, signal, socket, sys
stream = socket.socket()
before = os.listdir("/proc/self/fd")
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
	stream.connect((sys.argv[1], int(sys.argv[2])))
except KeyboardInterrupt:
	print("interrupted", os.listdir("/proc/self/fd") == before)
"""


def test_an_interrupted_connect_leaves_no_descriptor_behind(airlock, both, peers):
	airlock.configure(gate="off")
	origin = peers.drop(gives_up=False)
	both(["/usr/bin/python3", "-c", INTERRUPTED, origin.host, origin.port]).assert_same()


ANOTHER = "54321"  # a user
CONNECT = """
import errno, os, socket, sys
print(os.environ.get("AIRLOCK_GATE"), errno.errorcode.get(socket.socket().connect_ex((sys.argv[1], int(sys.argv[2])))))
"""


@pytest.fixture
def without_gate(airlock, directory, background):
	"""A configuration with `gate auto`, where what lies before hostd takes every byte at once. Other users may connect."""
	front = directory / "front.sock"
	hostd = airlock.hostd.endpoint.removeprefix("unix:")
	background(process.Daemon(["socat", f"UNIX-LISTEN:{front},fork,mode=666", f"UNIX-CONNECT:{hostd}"]))
	peer.wait_until(front.exists, what="the relay")
	yield airlock.write(endpoint=f"unix:{front}")
	for state in pathlib.Path("/dev/shm").glob(f"airlock-{ANOTHER}-*"):
		state.unlink()


@pytest.mark.stand_in("over AF_VSOCK the gate holds")
@pytest.mark.parametrize("prefix", [[], ["setpriv", "--reuid", ANOTHER, "--clear-groups"]], ids=["same-user", "another-user"])
def test_what_was_measured_holds_for_every_user(airlock, without_gate, peers, prefix):
	origin = peers.refuse()
	result = airlock.run([*prefix, "/usr/bin/python3", "-c", CONNECT, origin.host, origin.port], config=without_gate)
	assert result.stdout == "off ECONNREFUSED\n", result


def test_an_old_verdict_is_not_handed_on(airlock):
	result = airlock.run(["sh", "-c", "echo ${AIRLOCK_GATE-none}"], env={"AIRLOCK_GATE": "off"})
	assert result.stdout == "none\n", result
