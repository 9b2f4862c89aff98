# SPDX-License-Identifier: MIT
"""What came before an end is delivered, and only then the end: where hostd has closed before the program could read,
and where the program has ended its own side."""
import os
import signal
import socket
import textwrap

import pytest

from support import peer, process, tls_route, world
from support.tls_origin import context, serve

NAME = "good.test"

HELPERS = """
import errno, fcntl, socket, struct, termios, time

def wait_for(count):
	while struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0] < count:
		time.sleep(0.01)

def read_to_end():
	got = 0
	try:
		while data := sock.recv(1 << 16):
			got += len(data)
		return got, "end"
	except OSError as error:
		return got, errno.errorcode[error.errno]
"""


@pytest.fixture
def good(pki, dns):
	dns.add(NAME, world.PUBLIC)
	return pki.root.issue(NAME)


@pytest.fixture
def start(tls, directory):
	"""start(port, text): a program in the background that has sock, connected, and HELPERS."""
	def begin(port, text):
		path = directory / "program.py"
		path.write_text(f'{HELPERS}\nsock = socket.create_connection(("{NAME}", {port}))\n{textwrap.dedent(text)}')
		return tls.popen_preloaded(["/usr/bin/python3", str(path)])
	return begin


@pytest.fixture
def fifo(directory):
	"""A program that reads it waits until somebody has written to it, if only nothing."""
	path = directory / "go-on"
	os.mkfifo(path)
	return path


# --- the server answers early and resets

FIN_WAIT2 = b"\5"  # include/net/tcp_states.h; the first byte of TCP_INFO
FULL = 200000  # bytes unread that show that a socket takes no more, or little


@pytest.fixture
def early(tls, peers, good, start, fifo):
	"""early(first, rest) is a program's line: what it got, when a server answers in the middle of a request and resets,
	as one does that says 413 and closes with bytes unread. airlock-tls stands still between the first part of the answer
	and the reset, and finds that the program has written before it finds the rest. The program reads late."""
	def begin(first, rest):
		def answer(session):
			session.read_until(b"\n")
			session.send(bytes(first))
			session.connection.hold()
			session.send(bytes(rest))
			session.connection.reset()

		origin, kept = peers.listen(serve(context(good), answer)), tls.keep()
		program = start(origin.port, f"""
			sock.sendall(b"head\\n")
			wait_for({min(first, FULL)})
			print("ready", flush=True)
			open("{fifo}").read()
			sock.sendall(b"body" * 1000)
			print("written", flush=True)
			open("{fifo}").read()
			print("got", *read_to_end(), flush=True)
			""")
		program.wait_line("ready")
		kept.send_signal(signal.SIGSTOP)
		peer.wait_until(lambda: kept.state() == "T", what="the stop")
		fifo.write_bytes(b"")
		program.wait_line("written")
		origin.connections[0].release()
		tls.airlock.hostd.wait_log(msg="stream ended", **{"class": "reset"})
		kept.send_signal(signal.SIGCONT)
		fifo.write_bytes(b"")
		return program.wait_line("got")
	return begin


def test_an_early_answer_is_delivered_before_the_reset(early):
	assert early(10, 60000) == "got 60010 ECONNRESET"


def test_an_early_answer_waits_for_a_slow_program(early):
	"""Its socket is full: the rest waits decrypted, and in hostd's socket."""
	assert early(300000, 60000) == "got 360000 ECONNRESET"


@pytest.fixture
def ended_early(tls, peers, good, start, fifo):
	"""ended_early(route, size, pause) is the line of a program that writes on after the server has ended in order and
	closed, and reads after a pause of seconds. What it says is answered by a reset, which its own kernel would tell it when
	it writes, and never when it reads."""
	def begin(route, size, pause):
		def answer(session):
			session.read_until(b"\n")
			session.send(bytes(size))
			session.connection.half_close() if "lax" in route else session.end()
			sock = session.connection.sock
			peer.wait_until(lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == FIN_WAIT2, what="FIN-WAIT-2")

		tls.configure(route)
		origin, _ = peers.listen(serve(context(good), answer)), tls.keep()
		program = start(origin.port, f"""
			sock.sendall(b"head\\n")
			wait_for({min(size, FULL)})
			print("ready", flush=True)
			open("{fifo}").read()
			for _ in range(20):
				try:
					sock.send(b"body")
					time.sleep(0.01)
				except OSError:
					break
			time.sleep({pause})
			print("got", *read_to_end(), flush=True)
			""")
		program.wait_line("ready")
		origin.connections[0].wait_end()
		fifo.write_bytes(b"")
		return program.wait_line("got")
	return begin


@pytest.mark.parametrize("size", [60000, 360000], ids=["passed-on", "waiting"])
@pytest.mark.parametrize("route", ["route * tls", "route * tls eof=lax"], ids=["close_notify", "lax"])
def test_an_early_end_stays_one_for_a_program_that_writes_on(ended_early, route, size):
	assert ended_early(route, size, pause=0) == f"got {size} end"


@pytest.mark.parametrize("size", [220000, 250000, 360000])
def test_what_a_program_does_not_read_in_time_does_not_end_in_order(ended_early, size):
	"""What is left when the time is over is lost."""
	said = ended_early("route * tls", size, pause=3)
	assert said == f"got {size} end" or said.endswith(" ECONNRESET")


# --- the program has ended its side

@pytest.fixture(params=["eof=lax", "tls=auto"])
def half_closed(request, tls, peers, good, start):
	"""half_closed(finish): a program that has shut its sending side, and a server that then sends without TLS's end and
	calls finish(connection). With tls=auto the program's own TLS passes through, whose end is not ours to see."""
	is_raw = request.param == "tls=auto"
	first = b"\x16\x03\x01\x00" if is_raw else b"plain"

	def begin(finish):
		def answer(session):
			session.read_all()
			session.send(bytes(300000))
			finish(session.connection)

		def answer_raw(connection):
			connection.read_all()
			connection.send(bytes(300000))
			finish(connection)

		origin = peers.listen(answer_raw if is_raw else serve(context(good), answer))
		return start(origin.port, f"""
			sock.sendall({first})
			sock.shutdown(socket.SHUT_WR)
			print("got", *read_to_end(), flush=True)
			""")

	tls.configure(f"route * tls {request.param}")
	tls.keep()
	return begin


def test_an_end_after_the_programs_own_is_an_end(half_closed):
	half_closed(lambda connection: connection.sock.close()).wait_line("got 300000 end")


def test_a_reset_after_the_programs_own_end_is_none(half_closed):
	program = half_closed(lambda connection: connection.reset())
	assert program.wait_line("got").endswith(" ECONNRESET")


def test_a_death_of_hostds_after_the_programs_own_end_is_none(tls, half_closed):
	"""Nobody is there who could call it an end."""
	program = half_closed(lambda connection: tls.airlock.hostd.stop(signal.SIGKILL))
	assert program.wait_line("got").endswith(" ECONNRESET")


# --- the program's side fails

def test_an_answer_that_cannot_be_passed_on_is_no_end(tls, peers, good, start, background):
	"""The kernel has no memory for one send to the program, which strace pretends."""
	if not process.which("strace") or not world.is_real_root or tls_route.is_sanitized():
		pytest.skip("needs strace, root, and a program that a sanitizer does not trace itself")

	def answer(session):
		session.read_all()
		session.connection.hold()
		session.send(b"all of it")
		session.end()

	origin, kept = peers.listen(serve(context(good), answer)), tls.keep()
	program = start(origin.port, """
		sock.sendall(b"plain")
		sock.shutdown(socket.SHUT_WR)
		print("got", *read_to_end(), flush=True)
		""")
	origin.wait_connections()[0].wait_end()
	tracer = background(process.Daemon(["strace", "-p", str(kept.pid), "-e", "inject=sendto:error=ENOBUFS:when=1"]))
	peer.wait_until(kept.tracer, what="strace")
	origin.connections[0].release()
	said = program.wait_line("got")
	tracer.stop()
	assert said == "got 0 ECONNRESET"
