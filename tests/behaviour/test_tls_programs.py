# SPDX-License-Identifier: MIT
"""Real programs that speak plaintext, and servers that speak nothing but TLS."""
import hashlib
import re
import struct
import textwrap

import pytest

from support import peer, process, tls_origin, tls_servers, world

WEB_ROUTE = "route *:80 tls port=443"
NAME = "good.test"


@pytest.fixture
def script(directory):
	"""script("name.py", text): writes a program, returns its path."""
	def write(name, text):
		path = directory / name
		path.write_text(textwrap.dedent(text).lstrip())
		return str(path)
	return write


def gives(result, expected):
	assert result.status == 0 and result.stdout == expected, result
	assert result.stderr == "", result.stderr


# --- HTTP

def test_curl(tls, tls_web):
	tls.configure(WEB_ROUTE)
	gives(tls.run(["curl", "-sS", "http://tls-web.test/page.txt"]), "a page over TLS\n")
	gives(tls.run(["curl", "-sS", "http://tls-web.test/who"]), "TLSv1.3 https tls-web.test\n")


def test_the_server_has_no_plaintext_to_offer(airlock, dns, tls_web):
	"""What the other tests are worth: the same without a tls route is refused."""
	dns.add("tls-web.test", tls_web.address)
	result = airlock.run(["curl", "-sS", "http://tls-web.test:443/page.txt"])
	assert "400" in result.stdout and "a page" not in result.stdout, result


def test_curl_gets_a_large_file_intact(tls, tls_web):
	tls.configure(WEB_ROUTE)
	result = tls.run(["curl", "-sS", "http://tls-web.test/large.bin"])
	assert hashlib.sha256(result.raw).digest() == hashlib.sha256(tls_web.large).digest(), result.stderr


def test_curl_by_address(tls, tls_web):
	tls.configure(WEB_ROUTE)
	gives(tls.run(["curl", "-sS", f"http://{tls_web.address}/page.txt"]), "a page over TLS\n")


def test_curl_gets_many_at_once(tls, tls_web):
	tls.configure(WEB_ROUTE)
	urls = [f"http://{name}/page.txt" for name in ("tls-web.test", "also-tls-web.test")]
	result = tls.run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do curl -sS \"$0\" & done; wait", urls[0]])
	gives(result, "a page over TLS\n" * 8)


def test_curl_says_what_it_can_of_a_refusal(tls, tls_web, pki):
	tls.configure(WEB_ROUTE + f" ca={pki.stranger.ca}")
	result = tls.run(["curl", "-sS", "http://tls-web.test/page.txt"])
	assert result.status == 7 and result.stdout == "", result


def test_wget(tls, tls_web):
	tls.configure(WEB_ROUTE)
	gives(tls.run(["wget", "-q", "-O", "-", "http://tls-web.test/page.txt"]), "a page over TLS\n")


def test_python_without_tls(tls, tls_web, script):
	tls.configure(WEB_ROUTE)
	gives(tls.run(["/usr/bin/python3", script("client.py", """
		import sys
		sys.modules["ssl"] = sys.modules["_ssl"] = None
		import http.client
		connection = http.client.HTTPConnection("tls-web.test")
		for path in ("/page.txt", "/absent", "/who"):
			connection.request("GET", path)
			answer = connection.getresponse()
			print(answer.status, len(answer.read()), connection.sock.getpeername()[1])
		""")]), "200 16 80\n404 153 80\n200 27 80\n")


def test_perl(tls, tls_web, script):
	if not process.which("perl"):
		pytest.skip("perl is not installed")
	tls.configure(WEB_ROUTE)
	result = tls.run(["perl", script("client.pl", """
		use IO::Socket::INET;
		my $socket = IO::Socket::INET->new(PeerAddr => "tls-web.test", PeerPort => 80) or die "$@\\n";
		print $socket "GET /page.txt HTTP/1.0\\r\\nHost: tls-web.test\\r\\n\\r\\n";
		print while <$socket>;
		""")])
	assert result.status == 0 and result.stdout.endswith("\r\n\r\na page over TLS\n"), result


# --- redis, PostgreSQL

def test_redis_cli(tls, tls_redis):
	tls.configure("route *:6379 tls port=6380")
	gives(tls.run(["redis-cli", "-h", "tls-redis.test", "ping"]), "PONG\n")
	gives(tls.run(["redis-cli", "-h", "tls-redis.test"], input="set key value\nget key\n"), "OK\nvalue\n")


def test_redis_pipe_of_many_commands(tls, tls_redis):
	tls.configure("route *:6379 tls port=6380")
	commands = "".join(f"SET key:{number} {'x' * (1 + number % 500)}\r\n" for number in range(20000))
	result = tls.run(["redis-cli", "-h", "tls-redis.test", "--pipe"], input=commands)
	assert result.status == 0 and "errors: 0, replies: 20000" in result.stdout, result


def psql(tls, *words, more="", **options):
	return tls.run(["psql", "-XAt", "-d", f"host=tls-postgres.test user=postgres {more}", *words], **options)


def test_psql(tls, tls_postgres):
	tls.configure("route *:5432 tls start=postgres")
	gives(psql(tls, "-c", "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"), "t|TLSv1.3\n")
	gives(psql(tls, "-c", "select count(*), sum(n) from generate_series(1, 300000) n"), "300000|45000150000\n")


def test_psql_is_told_that_there_is_no_tls(tls, tls_postgres):
	"""It asks by default, and goes on without, as with sslmode=disable; if it insists, it says so."""
	tls.configure("route *:5432 tls start=postgres")
	gives(psql(tls, "-c", "select 1", more="sslmode=disable gssencmode=disable"), "1\n")
	gives(psql(tls, "-c", "select 1", more="sslmode=prefer"), "1\n")
	refused = psql(tls, "-c", "select 1", more="sslmode=require")
	assert refused.status == 2 and "server does not support SSL" in refused.stderr, refused


SSL_REQUEST, GSS_REQUEST = (struct.pack("!ii", 8, code) for code in (80877103, 80877104))


def talk_to_postgres(tls, peers, dns, pki, *pieces, ends=False):
	"""(what the program was answered, what the server got) when the program sends these pieces."""
	def serve(connection):
		assert connection.read(8) == SSL_REQUEST
		connection.send(b"S")
		tls_origin.serve(tls_origin.context(pki.root.issue("db.test")), read_and_end)(connection)

	def read_and_end(session):
		session.read_all()
		session.end()

	dns.add("db.test", world.PUBLIC)
	tls.configure("route * tls start=postgres")
	origin = peers.listen(serve)
	program = f"""
		import socket, time
		sock = socket.create_connection(("db.test", {origin.port}))
		for piece in {pieces}:
			sock.sendall(piece)
			time.sleep(0.05)
		if {not ends}:
			sock.sendall(b"the startup message")
		sock.shutdown(socket.SHUT_WR)
		answer = bytearray()
		while data := sock.recv(100):
			answer += data
		print(bytes(answer))
		"""
	result = tls.run(["/usr/bin/python3", "-c", textwrap.dedent(program)])
	origin.connections[0].wait_end()
	return result.stdout, bytes(origin.connections[0].received)


@pytest.mark.parametrize("pieces", [
	[GSS_REQUEST, SSL_REQUEST], [GSS_REQUEST + SSL_REQUEST], [bytes([byte]) for byte in GSS_REQUEST + SSL_REQUEST],
], ids=["one after the other", "together", "by the byte"])
def test_requests_for_encryption_are_answered_here(tls, peers, dns, pki, pieces):
	assert talk_to_postgres(tls, peers, dns, pki, *pieces) == ("b'NN'\n", b"the startup message")


def test_what_only_resembles_a_request_reaches_the_server(tls, peers, dns, pki):
	for piece in (SSL_REQUEST[:7] + b"x", struct.pack("!iiii", 16, 80877102, 1, 2), SSL_REQUEST[:3]):
		assert talk_to_postgres(tls, peers, dns, pki, piece) == ("b''\n", piece + b"the startup message")


def test_a_request_that_ends_early_is_still_delivered(tls, peers, dns, pki):
	assert talk_to_postgres(tls, peers, dns, pki, SSL_REQUEST[:5], ends=True) == ("b''\n", SSL_REQUEST[:5])


def test_requests_without_end_are_not_answered_without_end(tls, peers, dns, pki):
	said, got = talk_to_postgres(tls, peers, dns, pki, SSL_REQUEST * 5)
	assert (said, got) == ("b'NN'\n", SSL_REQUEST * 3 + b"the startup message")


def test_psql_copies_both_ways(tls, tls_postgres):
	tls.configure("route *:5432 tls start=postgres")
	lines = "".join(f"{number}\t{'y' * 100}\n" for number in range(30000))
	result = psql(tls, "-c", "create temp table t(n int, s text)", "-c", "copy t from stdin",
		"-c", "copy t to stdout", input=lines)
	assert result.status == 0 and result.stdout.endswith(lines), result.stderr


def test_psql_is_refused_a_wrong_certificate(tls, tls_postgres, dns):
	"""The request for TLS has been answered by then; the program's own first byte has not been sent."""
	dns.add("other.test", tls_servers.POSTGRES)
	tls.configure("route *:5432 tls start=postgres")
	result = tls.run(["psql", "-XAt", "-d", "host=other.test user=postgres sslmode=disable", "-c", "select 1"])
	assert result.status == 2 and result.stdout == "", result


@pytest.mark.parametrize("answer", [b"N", b"E", b"Sx", b"S\x16\x03\x03\x00\x00", b""], ids=["no", "error", "more",
	"more that looks like TLS", "nothing"])
def test_a_postgres_that_does_not_do_as_agreed(tls, peers, dns, answer):
	"""Exactly one byte, S: what comes behind it unencrypted would be taken for the server's (CVE-2021-23222)."""
	def serve(connection):
		connection.read(8)
		connection.send(answer)
		if not answer:
			connection.half_close()
		connection.read_all()
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(serve)
	tls.configure("route * tls start=postgres")
	assert tls.talk(NAME, origin.port, "say=secret") in ("connect EPROTO", "connect ECONNRESET")
	(connection,) = origin.connections
	connection.wait_end()
	assert connection.received.startswith(b"\x00\x00\x00\x08\x04\xd2\x16\x2f") and b"secret" not in connection.received


# --- when a connect is done

HELD = """
	import errno, select, socket
	sock = socket.socket()
	sock.setblocking(False)
	address = socket.getaddrinfo("{name}", {port}, socket.AF_INET)[0][4]
	print(errno.errorcode[sock.connect_ex(address)], flush=True)
	events = select.poll()
	events.register(sock, select.POLLOUT)
	print(events.poll(700), flush=True)
	((_, what),) = events.poll(20000)
	print(bool(what & (select.POLLOUT | select.POLLERR)), sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
	"""


@pytest.mark.parametrize("is_good", [True, False], ids=["granted", "refused"])
def test_writability_waits_for_the_handshake(tls, peers, dns, pki, script, is_good):
	"""TCP is connected long before; the certificate is what counts."""
	dns.add(NAME, world.PUBLIC)
	context = tls_origin.context(pki.root.issue(NAME if is_good else "other.test"))
	origin = peers.listen(tls_origin.serve(context, tls_origin.swallow, before=lambda connection: connection.hold()))
	program = tls.popen(["/usr/bin/python3", script("held.py", HELD.format(name=NAME, port=origin.port))])
	program.wait_line("[]")
	(connection,) = origin.wait_connections(1)
	assert program.lines == ["EINPROGRESS", "[]"], program.lines
	connection.release()
	program.wait_line("True")
	assert program.lines[2] == ("True 0" if is_good else "True 71"), program.lines  # EPROTO


def test_an_event_loop_is_not_held_up(tls, peers, dns, pki, script):
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME)), tls_origin.echo,
		before=lambda connection: connection.hold(5)))
	result = tls.run(["/usr/bin/python3", script("loop.py", f"""
		import asyncio, time
		async def main():
			worst, last, is_over = 0, time.monotonic(), False
			async def talk():
				nonlocal is_over
				reader, writer = await asyncio.open_connection("{NAME}", {origin.port})
				writer.write(b"hello")
				print(await reader.read(5))
				is_over = True
			task = asyncio.create_task(talk())
			begun = last
			while not is_over:
				await asyncio.sleep(0.01)
				worst, last = max(worst, time.monotonic() - last), time.monotonic()
			await task
			print(last - begun > 4.5, worst < 2)
		asyncio.run(main())
		""")])
	assert result.stdout == "b'hello'\nTrue True\n", result


ERRNOS = {
	"refused": ("ECONNREFUSED", lambda peers: ("public.test", peers.refuse().port)),
	"timed out": ("ETIMEDOUT", lambda peers: ("public.test", peers.drop().port)),
	"no such name": ("EHOSTUNREACH", lambda peers: ("198.18.77.77", 80)),
	"unreachable": ("EHOSTUNREACH", lambda peers: ("unreachable.test", 80)),
	"no route": ("ENETUNREACH", lambda peers: ("noroute.test", 80)),
	"denied by policy": ("EACCES", lambda peers: ("metadata.test", 80)),
}


@pytest.mark.parametrize("how", ERRNOS)
def test_what_goes_wrong_before_tls_keeps_its_errno(tls, airlock, peers, how):
	"""The same as on a direct route: airlock-tls hands on what hostd says."""
	expected, make = ERRNOS[how]
	host, port = make(peers)
	direct = airlock.run(["/usr/bin/python3", tls.talk_program, host, port], config=airlock.write("route * direct"))
	assert tls.talk(host, port) == direct.stdout.split(" ", 1)[1].strip(), "not as on a direct route"
	if how != "no such name":
		assert tls.talk(host, port, "timeout=20") == f"connect {expected}"


def test_without_hostd(tls, airlock, directory):
	tls.configure("route * tls", endpoint=f"unix:{directory}/nobody.sock")
	kept = tls.keep()
	result = tls.run_preloaded(["/usr/bin/python3", tls.talk_program, "11.0.0.1", "443"])
	assert result.stdout == "443 connect ENETUNREACH\n", (result, kept.output)


def test_a_server_that_stalls_holds_up_nobody_else(tls, peers, dns, pki, tls_web):
	"""A hundred handshakes that go nowhere, and one that does."""
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(lambda connection: connection.hold())
	tls.keep()
	stalled = tls.popen_preloaded(["/usr/bin/python3", "-c", textwrap.dedent(f"""
		import socket, time
		held = [socket.socket() for _ in range(100)]
		address = socket.getaddrinfo("{NAME}", {origin.port}, socket.AF_INET)[0][4]
		for sock in held:
			sock.setblocking(False)
			sock.connect_ex(address)
		print("asked", flush=True)
		time.sleep(100)
		""")])
	stalled.wait_line("asked")
	origin.wait_connections(100)
	result = tls.run_preloaded(["curl", "-sS", "--max-time", "8", "http://tls-web.test:443/page.txt"])
	gives(result, "a page over TLS\n")


# --- keys of routes

def test_port_and_none(tls, tls_web):
	"""Without port= the program's own port is the destination's."""
	tls.configure("route *:443 tls\nroute *:80 tls port=8443")
	gives(tls.run(["curl", "-sS", "http://tls-web.test:443/page.txt"]), "a page over TLS\n")
	gives(tls.run(["curl", "-sS", "http://tls-web.test/session"]), ".\n")
	peer.wait_until(lambda: any(line.startswith("8443 ") for line in tls_web.log()), what="nginx's line about it")


def test_ca_of_a_route(tls, tls_web, pki):
	tls.configure(WEB_ROUTE + f" ca={pki.ca}", ca=pki.stranger.ca)
	gives(tls.run(["curl", "-sS", "http://tls-web.test/page.txt"]), "a page over TLS\n")
	tls.configure(WEB_ROUTE, ca=pki.stranger.ca)
	assert tls.run(["curl", "-sS", "http://tls-web.test/page.txt"]).status == 7


def test_sni(tls, tls_web):
	tls.configure(WEB_ROUTE)
	gives(tls.run(["curl", "-sS", "http://tls-web.test/name"]), "tls-web.test\n")
	tls.configure(WEB_ROUTE + " sni=also-tls-web.test")
	gives(tls.run(["curl", "-sS", "http://tls-web.test/name"]), "also-tls-web.test\n")


def test_alpn(tls, tls_web):
	for words, expected in (("", ""), (" alpn=http/1.1", "http/1.1"), (" alpn=acme,http/1.0", "http/1.0")):
		tls.configure(WEB_ROUTE + words)
		gives(tls.run(["curl", "-sS", "http://tls-web.test/alpn"]), expected + "\n")


def test_alpn_that_the_server_does_not_know(tls, peers, dns, pki):
	"""OpenSSL's server goes on without; GnuTLS and RFC 7301 (3.2) end with an alert. Either way no other
	protocol than those offered is spoken."""
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME), alpn=["h2"]), tls_origin.echo_line))
	tls.configure("route * tls alpn=redis")
	said = tls.talk(NAME, origin.port)
	assert said == "connect EPROTO" or origin.connections[0].session.tls.selected_alpn_protocol() is None


def test_a_client_certificate(tls, tls_web, pki):
	own = pki.root.issue(subject="the-enclave", usage="clientAuth")
	route = "route *:80 tls port=9443"
	tls.configure(f"{route} cert={own.chain} key={own.key}")
	gives(tls.run(["curl", "-sS", "http://tls-web.test/client"]), "CN=the-enclave\n")
	tls.configure(route)
	result = tls.run(["curl", "-sS", "http://tls-web.test/client"])
	assert "No required SSL certificate was sent" in result.stdout or result.status != 0, result
	assert "the-enclave" not in result.stdout


def test_a_client_certificate_that_the_server_refuses(tls, tls_web, pki):
	"""In TLS 1.3 the server judges it after the client's handshake is over: the stream ends, but not well."""
	own = pki.stranger.issue(subject="nobody", usage="clientAuth")
	tls.configure(f"route *:80 tls port=9443 cert={own.chain} key={own.key}")
	result = tls.run(["curl", "-sS", "http://tls-web.test/client"])
	assert "CN=" not in result.stdout, result


def test_a_key_that_does_not_fit_its_certificate(tls, tls_web, pki):
	one, other = (pki.root.issue(subject="the-enclave", usage="clientAuth") for _ in range(2))
	tls.configure(f"route *:80 tls port=9443 cert={one.chain} key={other.key}")
	result = tls.run(["curl", "-sS", "http://tls-web.test/client"])
	assert "CN=" not in result.stdout and result.status != 0, result


def test_tickets_are_used(tls, tls_web):
	tls.configure(WEB_ROUTE)
	result = tls.run(["curl", "-sS", "-H", "Connection: close"] + ["http://tls-web.test/session"] * 4)
	assert result.stdout == ".\n" + "r\n" * 3, result


# --- TLS in TLS

def test_tls_auto(tls, tls_web, pki):
	"""A program that speaks TLS itself is passed through: it sees the server's own certificate."""
	tls.configure("route * tls tls=auto")
	result = tls.run(["curl", "-sS", "--cacert", pki.ca, "-w", "%{ssl_verify_result}\n", "https://tls-web.test/page.txt"])
	gives(result, "a page over TLS\n0\n")
	assert tls.run(["curl", "-sS", "--cacert", pki.stranger.ca, "https://tls-web.test/page.txt"]).status == 60
	gives(tls.run(["curl", "-sS", "http://tls-web.test:443/page.txt"]), "a page over TLS\n")


def test_tls_in_tls_is_refused(tls, tls_web, pki):
	"""Without tls=auto the server's application would get a ClientHello: an error with a line in the log."""
	tls.configure("route * tls", log="warn")
	before = len(tls_web.log())
	result = tls.run(["curl", "-sS", "--cacert", pki.ca, "https://tls-web.test/page.txt"])
	assert result.status in (7, 35) and result.stdout == "", result
	assert re.search("tls=auto", result.stderr), result.stderr
	assert not any("HTTP" in line for line in tls_web.log()[before:])
