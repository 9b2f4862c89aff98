# SPDX-License-Identifier: MIT
"""How a TLS stream ends, and what comes between: an attacker on the parent can cut it anywhere, and the
program must never take that for the server's own end."""
import fcntl
import re
import select
import struct
import subprocess
import termios
import textwrap
import time

import pytest

from support import bulk, peer, tls_gnutls, tls_origin, world
from support.hostd import TOP
from support.tls_origin import Cut, context, serve

NAME = "good.test"
PLACES = ["start", "header", "middle", "last"]
BODY = [b"first part;", b"second part;", b"third part\n"]


@pytest.fixture
def good(pki, dns):
	dns.add(NAME, world.PUBLIC)
	return pki.root.issue(NAME)


@pytest.fixture
def script(directory):
	"""script(text): writes a Python program, returns its command."""
	def write(text):
		path = directory / "program.py"
		path.write_text(textwrap.dedent(text))
		return ["/usr/bin/python3", str(path)]
	return write


def three_parts(session):
	"""Waits for a line, so that the program has connected before the first part."""
	session.read_until(b"\n")
	for part in BODY:
		session.send(part)
	session.end()
	session.read_all()


def records_of(tls, peers, good, version=None):
	"""(records of the handshake, records in all) of an undisturbed connection."""
	counts = []

	def script(session):
		counts.append(len(session.sent))
		three_parts(session)
		counts.append(len(session.sent))

	origin = peers.listen(serve(context(good, version), script))
	assert tls.talk(NAME, origin.port) == "got 34 first end"
	peer.wait_until(lambda: len(counts) == 2, what="the server's second count")
	return counts


def ports_of_cuts(peers, good, cuts, version=None):
	made = context(good, version)
	return [peers.listen(serve(made, three_parts, cut=cut)).port for cut in cuts]


@pytest.mark.parametrize("end", ["FIN", "RST"])
@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_cut_at_every_record(tls, peers, good, version, end):
	"""Before a record, behind its header, in its middle, before its last byte; in the handshake and after."""
	tls.configure("route * tls min=1.2")
	in_handshake, count = records_of(tls, peers, good, version)
	cuts = [Cut(record, at, end == "RST") for record in range(count) for at in PLACES]
	said = tls.talk_to_all(NAME, ports_of_cuts(peers, good, cuts, version))
	wrong = []
	for cut, line in zip(cuts, said):
		# the tickets of TLS 1.3 come with the handshake's last flight, when the program may have connected
		during = line.startswith("connect E") and not line.endswith("ETIMEDOUT")
		after = re.fullmatch(r"got \d+ \S+ (ECONNRESET|EPROTO)|send (ECONNRESET|EPIPE)", line)
		if cut.record < in_handshake - (2 if version == "1.3" else 1):
			right = during
		else:
			right = during or after
		if not right:
			wrong.append((cut, line))
	assert not wrong, f"handshake of {in_handshake} records, {count} in all: {wrong}"


def test_what_was_whole_before_the_cut_is_delivered(tls, peers, good):
	in_handshake, count = records_of(tls, peers, good)
	first = count - len(BODY) - 1
	said = tls.talk_to_all(NAME, ports_of_cuts(peers, good, [Cut(first + number) for number in range(1, 4)]))
	assert said == ["got 11 first ECONNRESET", "got 23 first ECONNRESET", "got 34 first ECONNRESET"]


def test_an_end_without_close_notify(tls, peers, good):
	origin = peers.listen(serve(context(good), tls_origin.answer_then_fin(b"looks whole\n")))
	assert tls.talk(NAME, origin.port) == "got 12 looks ECONNRESET"
	tls.configure("route * tls eof=lax")
	assert tls.talk(NAME, origin.port) == "got 12 looks end"


def test_eof_lax_does_not_forgive_a_cut_record(tls, peers, good):
	"""What is left of a record is never an end; nor is a reset."""
	_, count = records_of(tls, peers, good)
	tls.configure("route * tls eof=lax")
	last = count - 2
	cuts = [Cut(last, "header"), Cut(last, "middle"), Cut(last, "last"), Cut(last, "start", is_reset=True)]
	said = tls.talk_to_all(NAME, ports_of_cuts(peers, good, cuts))
	assert all(line == "got 23 first ECONNRESET" for line in said[:3]), said
	assert said[3].endswith("ECONNRESET"), said


def test_a_fatal_alert_in_mid_stream_is_not_an_end(tls, peers, good):
	def script(session):
		session.read_until(b"\n")
		session.send(b"part\n")
		session.connection.send(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody can decrypt
		session.read_all()
	origin = peers.listen(serve(context(good), script))
	assert tls.talk(NAME, origin.port) in ("got 5 part ECONNRESET", "got 5 part EPROTO")


# --- half-close

def test_the_program_half_closes_and_still_receives(tls, peers, good, script):
	def collect(session):
		got = session.read_all()
		assert session.connection.end == "eof"
		for _ in range(20):
			session.send(b"x" * 50000)
		session.send(got)
		session.end()
	origin = peers.listen(serve(context(good), collect))
	result = tls.run(script(f"""
		import socket
		sock = socket.create_connection(("{NAME}", {origin.port}))
		sock.sendall(b"request to the end")
		sock.shutdown(socket.SHUT_WR)
		got = b""
		while data := sock.recv(65536):
			got += data
		print(len(got), got[-18:])
		"""))
	assert result.stdout == "1000018 b'request to the end'\n", result
	(connection,) = origin.connections
	assert connection.error is None and connection.wait_end() == "eof"


def test_the_server_half_closes_and_still_receives(tls, peers, good, script):
	def early(session):
		session.send(b"early")
		session.close_notify()
		session.read_all()
	origin = peers.listen(serve(context(good), early))
	result = tls.run(script(f"""
		import socket
		sock = socket.create_connection(("{NAME}", {origin.port}))
		got = b""
		while data := sock.recv(65536):
			got += data
		print(got)
		for _ in range(20):
			sock.sendall(b"l" * 50000)
		sock.shutdown(socket.SHUT_WR)
		print(sock.recv(1))
		"""))
	assert result.stdout == "b'early'\nb''\n", result
	(connection,) = origin.connections
	assert connection.wait_end() == "eof" and connection.received == b"l" * 1000000


def test_a_program_that_closes_is_an_orderly_end_for_the_server(tls, peers, good, script):
	origin = peers.listen(serve(context(good), tls_origin.swallow))
	tls.run(script(f"""
		import socket
		socket.create_connection(("{NAME}", {origin.port})).sendall(b"all of it" * 30000)
		"""))
	(connection,) = origin.connections
	assert connection.wait_end() == "eof" and connection.received == b"all of it" * 30000


def test_what_a_program_wrote_before_it_ended_still_arrives(tls, peers, good, script):
	"""As with TCP, whose kernel goes on sending. `airlock run` ends with its program, but not before
	airlock-tls has passed on what it holds to a server that is only slow."""
	def read_late(session):
		session.connection.hold()
		session.read_all()
	origin = peers.listen(serve(context(good), read_late))
	program = tls.popen(script(f"""
		import select, socket
		sock = socket.create_connection(("{NAME}", {origin.port}))
		sock.setblocking(False)
		taken = 0
		while select.select([], [sock], [], 0.5)[1]:
			taken += sock.send(bytes(1 << 16))
		print("taken", taken, flush=True)
		"""))
	taken = int(program.wait_line("taken").split()[1])
	time.sleep(0.3)  # the program has ended
	(connection,) = origin.connections
	connection.release()
	assert connection.wait_end(30) == "eof" and len(connection.received) == taken, (taken, len(connection.received))


def test_a_program_that_resets_is_none(tls, peers, good, script):
	"""SO_LINGER {1, 0}, or a death with bytes unread: the server must not see TLS's own end."""
	origin = peers.listen(serve(context(good), lambda session: (session.send(b"unread" * 1000), session.read_all())))
	tls.run(script(f"""
		import socket, struct, os, time
		sock = socket.create_connection(("{NAME}", {origin.port}))
		sock.sendall(b"part of it")
		sock.recv(6)
		sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		sock.close()
		"""))
	(connection,) = origin.connections
	assert connection.wait_end() in ("truncated", "reset"), connection.end


# --- small and strange pieces

@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_one_byte_at_a_time(tls, peers, good, version):
	"""Handshake and data, each byte in a segment of its own."""
	tls.configure("route * tls min=1.2")
	origin = peers.listen(serve(context(good, version), three_parts, dribble=0.0005))
	assert tls.talk(NAME, origin.port) == "got 34 first end"


def test_a_thousand_tiny_records(tls, peers, good):
	def script(session):
		session.read_until(b"\n")
		for _ in range(5000):
			session.send(b"y")
		session.end()
		session.read_all()
	origin = peers.listen(serve(context(good), script))
	assert tls.talk(NAME, origin.port).split()[1::2] == ["5000", "end"]


PING_PONG = """
	import select, socket
	sock = socket.create_connection(("{name}", {port}))
	sock.setblocking(False)
	events = select.epoll()
	events.register(sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
	answers, got, is_over = 0, b"", False
	sock.send(b"ask\\n")
	while not is_over:
		assert events.poll(15), ("stalled after", answers, "answers")
		while True:
			try:
				data = sock.recv(65536)
			except BlockingIOError:
				break
			if not data:
				is_over = True
				break
			got += data
			while b"\\n" in got:
				_, got = got.split(b"\\n", 1)
				answers += 1
				if answers < {count}:
					sock.send(b"ask\\n")
				elif answers == {count}:
					sock.shutdown(socket.SHUT_WR)
	print(answers, "answers")
	"""


def test_tickets_between_answers_do_not_stall_an_edge_triggered_loop(tls, peers, good, script):
	"""A ticket is bytes on the socket that are none for the program. Whoever reads one edge's worth of
	records and not to the socket's end misses the answer behind it."""
	def tickets_everywhere(session):
		session.tickets(5)
		for number in range(100):
			session.read()
			session.tickets(1 + number % 3)
			session.send(b"answer\n")
			session.tickets(1)
		session.read()
		session.end()
	origin = peers.listen(tls_gnutls.serve(good, tickets_everywhere))
	result = tls.run(script(PING_PONG.format(name=NAME, port=origin.port, count=100)))
	assert result.stdout == "100 answers\n", (result, origin.connections[0].error)


def test_key_updates(tls, peers, good, script):
	"""Asked of both sides and of one, between data in both directions (RFC 8446, 4.6.3)."""
	def updating(session):
		for number in range(100):
			session.read()
			if number % 4 == 0:
				session.key_update(of_both=number % 8 == 0)
				time.sleep(0.15)  # GnuTLS takes no more than eight a second
			session.send(b"answer\n")
		session.read()
		session.end()
	origin = peers.listen(tls_gnutls.serve(good, updating))
	result = tls.run(script(PING_PONG.format(name=NAME, port=origin.port, count=100)), timeout=60)
	assert result.stdout == "100 answers\n", (result, origin.connections[0].error)


def test_a_key_update_of_openssl(tls, good, script):
	"""K at the beginning of a line: s_server's key update, asked of both sides."""
	server = subprocess.Popen(["openssl", "s_server", "-accept", f"{world.PUBLIC}:18443", "-cert", good.chain,
		"-key", good.key, "-tls1_3", "-naccept", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
	try:
		wait_line(server, "ACCEPT")
		program = tls.popen(script(f"""
			import socket
			sock = socket.create_connection(("{NAME}", 18443))
			for number in range(5):
				sock.sendall(b"line %d\\n" % number)
				print(sock.recv(100), flush=True)
			"""))
		for number in range(5):
			wait_line(server, f"line {number}")
			for text in ("K\n", f"answer {number}\n"):
				server.stdin.write(text)
				server.stdin.flush()
				peer.wait_until(lambda: not unread(server.stdin), what="s_server to read")  # one read for one command
			program.wait_line(f"answer {number}")
	finally:
		server.kill()
		server.communicate()


def unread(pipe):
	"""Bytes in a pipe: pipe(7), FIONREAD."""
	return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def wait_line(server, text):
	while (line := server.stdout.readline()) and text not in line:
		pass
	assert text in line, f"s_server never said {text}"


def test_a_key_update_while_the_program_sends(tls, peers, good, script):
	"""The answer to KeyUpdate goes out between the program's own records."""
	def updating(session):
		got = 0
		while got < 8 << 20 and (data := session.read()):
			if (got >> 20) != ((got + len(data)) >> 20):
				session.key_update(of_both=True)
				time.sleep(0.2)
			got += len(data)
		session.send(b"%d\n" % got)
		session.end()
	origin = peers.listen(tls_gnutls.serve(good, updating))
	result = tls.run(script(f"""
		import socket
		sock = socket.create_connection(("{NAME}", {origin.port}))
		sock.sendall(bytes(8 << 20))
		print(sock.recv(100))
		"""), timeout=60)
	assert result.stdout == f"b'{8 << 20}\\n'\n", (result, origin.connections[0].error)


# --- both ways at once

@pytest.mark.parametrize("late", ["program", "server"])
@pytest.mark.parametrize("size", [1 << 20, 24 << 20])
def test_nobody_reads_before_having_written_all(tls, peers, good, script, late, size):
	"""The late side writes all and only then reads; the other one reads all along. Whoever waits for one
	direction before serving the other stands still for ever."""
	def server(session):
		got = sent = 0
		if late == "server":
			session.send(bytes(size))
			sent = size
		while got < size and (data := session.read()):
			got += len(data)
			while sent < size and select.select([], [session.connection.sock], [], 0)[1]:
				session.send(bytes(16384))
				sent += 16384
		session.send(bytes(size - sent) + b"\1%d" % got)
		session.end()

	origin = peers.listen(serve(context(good), server))
	result = tls.run(script(f"""
		import socket, threading
		sock = socket.create_connection(("{NAME}", {origin.port}))
		writer = threading.Thread(target=sock.sendall, args=(bytes({size}),))
		writer.start()
		if "{late}" == "program":
			writer.join()
		got = bytearray()
		while data := sock.recv(1 << 20):
			got += data
		print(bytes(got.lstrip(b"\\0")))
		"""), timeout=90)
	assert result.stdout == f"b'\\x01{size}'\n", (result.stdout, result.stderr[-300:], origin.connections[0].error)


@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_a_full_duplex_program(tls, peers, good, version):
	"""64 MiB each way at once, every byte accounted for."""
	tls.configure("route * tls min=1.2")
	size = 64 << 20
	origin = peers.listen(serve(context(good, version), tls_origin.echo))
	result = tls.run(["/usr/bin/python3", TOP / "tests/support/bulk.py", "exchange", NAME, origin.port, size, 5],
		timeout=100)
	assert result.stdout == f"sent: done\nreceived: {bulk.digest_of(size, 5)}\n", (result, origin.connections[0].error)


def test_a_reader_that_does_not_read_is_not_read_for(tls, peers, good, script):
	"""Back-pressure: what nobody reads stays with the server, and airlock-tls's memory is bounded."""
	taken = []

	def pour(session):
		session.connection.sock.settimeout(3)
		try:
			while sum(taken) < 256 << 20:
				session.send(bytes(1 << 20))
				taken.append(1 << 20)
		except TimeoutError:
			pass
		session.connection.hold()

	origin = peers.listen(serve(context(good), pour))
	kept = tls.keep()
	before = kept.memory()
	idle = tls.popen_preloaded(script(f"""
		import socket, time
		sock = socket.create_connection(("{NAME}", {origin.port}))
		time.sleep(1000)
		"""))
	origin.wait_connections(1)
	peer.wait_until(lambda: origin.connections[0].error or len(taken) and _is_settled(taken), 30, "back-pressure")
	assert sum(taken) < 64 << 20 and kept.memory() - before < 4 << 20, (sum(taken), kept.memory() - before)
	idle.stop()


def _is_settled(taken):
	count = len(taken)
	time.sleep(1)
	return len(taken) == count


# --- many, and hostile

IDLE = 1000


@pytest.mark.limit(300)
def test_a_thousand_idle_sessions(tls, tls_web, script, directory):
	kept = tls.keep()
	program = script(f"""
		import resource, socket, sys, time
		resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
		held = []
		for number in range({IDLE}):
			sock = socket.create_connection(("tls-web.test", 443))
			sock.sendall(b"GET /who HTTP/1.1\\r\\nHost: tls-web.test\\r\\n\\r\\n")
			assert sock.recv(4096).startswith(b"HTTP/1.1 200"), number
			held.append(sock)
		print("all", flush=True)
		time.sleep(1000)
		""")
	before = kept.memory()
	many = tls.popen_preloaded(program)
	many.wait_line("all", 120)
	each = (kept.memory() - before) / IDLE
	spent = kept.processor_seconds()
	time.sleep(1)
	assert each < 96 << 10, f"{each} bytes for each idle session"
	assert kept.processor_seconds() - spent < 0.2, "idle sessions cost processor time"
	descriptors = kept.descriptors()
	assert descriptors >= 2 * IDLE
	many.stop()
	peer.wait_until(lambda: kept.descriptors() < 100, 20, "the end of the thousand")


def flood(warnings):
	def script(session):
		while len(warnings) < 300000:
			session.warn()
			warnings.append(1)
	return script


def test_user_canceled_and_close_notify_are_an_end(tls, peers, good):
	"""As Java's SSLSocket.close() says it (RFC 8446, 6.1). GnuTLS takes the first for fatal and reads no further: one
	alert more and nothing behind it is an end, all else is none."""
	def canceled(*then):
		def script(session):
			session.read()
			session.send(b"hello\n")
			session.warn()
			for each in then:
				each(session)
			session.connection.half_close()
			session.connection.read_all()  # so that no reset follows
		return peers.listen(tls_gnutls.serve(good, script)).port

	end, data = tls_gnutls.Session.end, lambda session: session.send(b"more\n")
	late_end = lambda session: (time.sleep(0.3), session.end())
	ports = [canceled(end), canceled(late_end), canceled(), canceled(data, end), canceled(tls_gnutls.Session.warn, end)]
	assert tls.talk_to_all(NAME, ports) == ["got 6 hello end"] * 2 + ["got 6 hello ECONNRESET"] * 3


@pytest.mark.parametrize("priority", ["MODERN", "OLD"])
def test_a_flood_of_warnings_ends_the_connection(tls, peers, good, priority):
	"""Alerts that are no errors cost the sender nothing. OpenSSL takes five in a row."""
	tls.configure("route * tls min=1.2")
	warnings = []
	origin = peers.listen(tls_gnutls.serve(good, flood(warnings), getattr(tls_gnutls, priority)))
	kept = tls.keep()
	spent = kept.processor_seconds()
	result = tls.run_preloaded(["/usr/bin/python3", tls.talk_program, NAME, origin.port], timeout=60)
	assert re.search("connect E|ECONNRESET|EPROTO|EPIPE", result.stdout), result
	origin.connections[0].wait_end(30)
	assert len(warnings) < 100000, "the connection was never ended"
	assert kept.processor_seconds() - spent < 2


def test_a_flood_of_warnings_in_the_handshake(tls, peers, dns):
	"""In plaintext, before any key: user_canceled, again and again, instead of a ServerHello."""
	sent = []

	def serve_alerts(connection):
		connection.read(5)
		while len(sent) < 100000:
			connection.send(b"\x15\x03\x03\x00\x02\x01\x5a" * 100)
			sent.append(1)

	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(serve_alerts)
	assert tls.talk(NAME, origin.port) == "connect EPROTO"
	origin.connections[0].wait_end(30)
	assert len(sent) < 100000, "the connection was never ended"


def test_a_flood_of_key_updates_is_bounded(tls, peers, good):
	count = []

	def updating(session):
		while len(count) < 100000:
			session.key_update(of_both=True)
			count.append(1)

	origin = peers.listen(tls_gnutls.serve(good, updating))
	kept = tls.keep()
	spent = kept.processor_seconds()
	result = tls.run_preloaded(["/usr/bin/python3", tls.talk_program, NAME, origin.port], timeout=60)
	assert re.search("ECONNRESET|EPROTO|EPIPE", result.stdout), result
	assert len(count) < 100000 and kept.processor_seconds() - spent < 2


def test_a_flood_of_tickets_is_bounded(tls, peers, good):
	"""They are kept for later, but not all of them."""
	def tickets(session):
		session.read()
		for _ in range(400):
			session.tickets(10)
		session.send(b"done\n")
		session.end()

	origin = peers.listen(tls_gnutls.serve(good, tickets))
	kept = tls.keep()
	before = kept.memory()
	result = tls.run_preloaded(["/usr/bin/python3", tls.talk_program, NAME, origin.port], timeout=60)
	assert "got 5 done end" in result.stdout or "ECONNRESET" in result.stdout, (result, origin.connections[0].error)
	assert kept.memory() - before < 4 << 20


def test_no_descriptor_is_left_behind(tls, peers, good):
	"""Ends of every kind, each ten times."""
	made = context(good)
	servers = [serve(made, three_parts), serve(made, three_parts, cut=Cut(3, "middle")),
		serve(made, tls_origin.answer_then_fin(b"x")), serve(made, lambda session: session.connection.reset()),
		lambda connection: connection.reset()]
	ports = [peers.listen(each).port for each in servers] * 10
	kept = tls.keep()
	before = kept.descriptors()
	result = tls.run_preloaded(["/usr/bin/python3", tls.talk_program, NAME, *ports], timeout=60)
	assert result.status == 0 and len(result.stdout.splitlines()) == 50, result
	peer.wait_until(lambda: kept.descriptors() <= before, 10, "the last descriptor's end")
