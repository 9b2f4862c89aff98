# SPDX-License-Identifier: MIT
"""curl's exit status and words for every way to fail: those that it has without Airlock."""
import re

import pytest

from support import dns_server, peer, world


def same_words(text):
	"""Durations differ, and the address in a message is the pool's token in the enclave."""
	text = re.sub(r"after \d+ ms", "after N ms", text)
	return re.sub(r"\b(198\.1[89]|11)\.\d+\.\d+\.\d+\b", "ADDRESS", text)


def curl(both, url, *options):
	return both(["curl", "-sS", *options, url]).assert_same(normalise=same_words)


def check(pair, status, *words):
	assert pair.native.status == status, pair.describe()
	for word in words:
		assert word in pair.native.stderr, pair.describe()


@pytest.mark.parametrize("host", ["public.test", world.PUBLIC])
def test_refused(both, peers, host):
	port = peers.refuse().port
	pair = curl(both, f"http://{host}:{port}/")
	check(pair, 7, f"port {port}", "Couldn't connect to server")
	assert pair.airlock.seconds < 9, "sooner than hostd's time for a dial"


def test_refused_in_its_own_words(both, peers):
	port = peers.refuse().port
	pair = both(["curl", "-v", "-sS", f"http://public.test:{port}/"])
	for result in (pair.native, pair.airlock):
		assert result.status == 7 and "Connection refused" in result.stderr, pair.describe()


def test_timed_out_by_curl(both, peers):
	silent = peers.drop(gives_up=False)
	pair = curl(both, f"http://{silent.host}:{silent.port}/", "--connect-timeout", "1")
	check(pair, 28, "Timeout was reached")
	assert 0.9 < pair.airlock.seconds < 9


def test_timed_out_by_the_network(both, peers):
	"""Without a limit of curl's: the kernel gives up, hostd is told ETIMEDOUT, and so is curl."""
	silent = peers.drop()
	pair = both(["curl", "-v", "-sS", f"http://{silent.host}:{silent.port}/"])
	for result in (pair.native, pair.airlock):
		assert result.status == 28 and "Connection timed out" in result.stderr, pair.describe()
		assert world.TIMED_OUT_SECONDS - 0.5 < result.seconds < 20, pair.describe()


@pytest.mark.parametrize("name, words", [
	("prohibited.test", "Permission denied"),
	("unreachable.test", "No route to host"),
	("noroute.test", "Network is unreachable"),
])
def test_unreachable(both, name, words):
	pair = both(["curl", "-v", "-sS", f"http://{name}/"])
	for result in (pair.native, pair.airlock):
		assert result.status == 7 and words in result.stderr, pair.describe()


def test_denied_by_policy_is_permission_denied(airlock, hostd, peers):
	"""What a prohibit route gives without Airlock is what a rule of hostd's gives with it."""
	airlock.use(hostd(rules="allow *:443"))
	port = peers.listen(peer.http()).port
	native = airlock.native(["curl", "-v", "-sS", f"http://{world.PROHIBITED}:{port}/"])
	denied = airlock.run(["curl", "-v", "-sS", f"http://{world.PUBLIC}:{port}/"])
	assert native.status == denied.status == 7, (native, denied)
	for result in (native, denied):
		assert "Permission denied" in result.stderr, result


def test_denied_by_a_route_is_permission_denied(airlock, peers):
	airlock.configure("route *:443 direct")
	port = peers.listen(peer.http()).port
	denied = airlock.run(["curl", "-v", "-sS", f"http://{world.PUBLIC}:{port}/"])
	assert denied.status == 7 and "Permission denied" in denied.stderr, denied


def test_no_such_name(both):
	pair = curl(both, "http://nobody.test/")
	check(pair, 6, "Could not resolve host: nobody.test")


def test_a_name_server_that_fails(both, dns):
	dns.fail("broken.test", dns_server.SERVFAIL)
	pair = curl(both, "http://broken.test/")
	check(pair, 6, "Could not resolve host: broken.test")


def test_an_empty_reply(both, peers):
	port = peers.listen(peer.send_then_close(b"")).port
	check(curl(both, f"http://public.test:{port}/"), 52, "Empty reply from server")


def test_a_reset_is_a_reset(both, peers):
	def serve(connection):
		connection.read_until(b"\r\n\r\n")
		connection.reset()
	port = peers.listen(serve).port
	check(curl(both, f"http://public.test:{port}/"), 56, "Connection reset by peer")


def test_a_body_cut_short_by_its_end(both, peers):
	port = peers.listen(peer.send_then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")).port
	check(curl(both, f"http://public.test:{port}/"), 18, "96 bytes remaining to read")


def test_a_body_without_length_cut_short_by_a_reset(both, peers):
	"""HTTP/1.0: only the kind of end tells a whole body from a part of one."""
	head = b"HTTP/1.0 200 OK\r\n\r\n"

	def whole(connection):
		connection.read_until(b"\r\n\r\n")
		connection.send(head + b"body")
		connection.half_close()
		connection.read_all()

	def part(connection):
		connection.read_until(b"\r\n\r\n")
		connection.send(head + b"bo")
		connection.wait_taken()  # a reset throws away what is unread
		connection.reset()

	check(curl(both, f"http://public.test:{peers.listen(whole).port}/"), 0)
	check(curl(both, f"http://public.test:{peers.listen(part).port}/"), 56, "Connection reset by peer")


def test_the_second_address_is_used_when_the_first_refuses(both, dns, peers):
	port = peers.listen(peer.http(b"second\n"), host="11.0.0.31").port
	dns.add("twofold.test", "11.0.0.30", "11.0.0.31")
	pair = curl(both, f"http://twofold.test:{port}/")
	assert pair.airlock.stdout == "second\n", pair.describe()


def test_a_slow_answer_is_not_a_slow_connect(airlock, peers):
	"""curl's own clock: connected at once, first byte when the origin sends it."""
	def serve(connection):
		connection.read_until(b"\r\n\r\n")
		connection.hold(3.0)
		connection.send(b"HTTP/1.0 200 OK\r\n\r\nlate\n")
	port = peers.listen(serve).port
	result = airlock.run(["curl", "-sS", "-w", "%{time_connect} %{time_starttransfer}",
		f"http://public.test:{port}/"])
	connect, first_byte = map(float, result.stdout.split("\n")[1].split())
	assert connect < 2.0 < 2.9 < first_byte, result


def test_a_held_dial_is_seen_as_connect_time(airlock, hostd, upstreams, peers):
	"""The dial ends when the upstream says so: until then curl is not connected."""
	port = peers.listen(peer.http()).port
	proxy = upstreams.socks5(hold=1.0)
	airlock.use(hostd(upstream=proxy.url))
	result = airlock.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{time_connect}",
		f"http://public.test:{port}/"])
	assert result.status == 0 and 0.9 < float(result.stdout) < 9, result


def test_a_held_dial_that_is_then_refused(airlock, hostd, upstreams, peers):
	from support.upstream import REFUSED
	proxy = upstreams.socks5(hold=1.0, reply=REFUSED)
	airlock.use(hostd(upstream=proxy.url))
	result = airlock.run(["curl", "-v", "-sS", "http://public.test:80/"])
	assert result.status == 7 and "Connection refused" in result.stderr, result
	assert 0.9 < result.seconds < 9
