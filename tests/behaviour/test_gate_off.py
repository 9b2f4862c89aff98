# SPDX-License-Identifier: MIT
"""Programs where the gate does not hold: `gate off` is what `gate auto` comes to there."""
import pytest

from support import peer, tls_origin

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
