# SPDX-License-Identifier: MIT
"""Dialling through a proxy of the parent's network: HTTP CONNECT and SOCKS5."""

import contextlib
import socket

import pytest

from support import transfer, upstream, wire
from support.origin import Origin, RefusingPort, SilentPort, exchange, pair, reset

TOKEN = "198.18.0.1"
KINDS = ["http", "socks5"]
RULES = "allow 127.0.0.0/8\nallow 11.0.0.0/16\nallow web.test to=127.0.0.0/8\nallow ::1\n"


def through(proxy):
	return RULES + f"upstream {proxy.url}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_is_reached_through_the_proxy(start, upstreams, origin, kind):
	proxy = getattr(upstreams, kind)()
	host = start(through(proxy))
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted, 100_000)
		assert proxy.asked == [origin.destination]
		opener.finish()
		assert accepted.recv(1) == b""
		accepted.sendall(b"half-closes too")
		accepted.close()
		assert opener.receive_all() == b"half-closes too"


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_goes_to_the_proxy_as_a_name(start, upstreams, dns, origin, kind):
	dns.add("web.test", "127.0.0.1")
	proxy = getattr(upstreams, kind)(target=origin.destination)
	host = start(through(proxy))
	with host.open((TOKEN, origin.port), "web.test") as opener:
		assert opener.wait(), host.outcome(opener.id)
		with origin.accept() as accepted:
			exchange(opener, accepted)
	assert proxy.asked == [("web.test", origin.port)]


def test_a_name_that_only_the_proxy_can_resolve_is_not_looked_up(start, upstreams, dns):
	host = start(through(upstreams.http()))
	assert wire.resolve(host.path, "web.test").status == wire.OK
	assert wire.resolve(host.path, "denied.test").status == wire.DENIED
	assert not dns.queries


@pytest.mark.parametrize("kind", KINDS)
def test_an_ipv6_address_is_written_as_the_proxy_expects(start, upstreams, kind):
	proxy = getattr(upstreams, kind)()
	with Origin("::1") as origin, pair(start(through(proxy)), origin) as (opener, accepted):
		exchange(opener, accepted)
		assert proxy.asked == [("::1", origin.port)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gate_stays_shut_until_the_proxy_has_answered(start, upstreams, origin, kind):
	proxy = getattr(upstreams, kind)(hold=None)
	host = start(through(proxy))
	with host.open(origin.destination) as opener:
		proxy.wait_asked()
		assert host.outcome(opener.id, wait=False)[:2] == ("dial", "none")
		assert opener.events() == 0
		proxy.release()
		assert opener.wait()


@pytest.mark.parametrize("kind", KINDS)
def test_policy_is_asked_before_the_proxy(start, upstreams, kind):
	proxy = getattr(upstreams, kind)()
	host = start(through(proxy))
	assert host.refusal(("12.0.0.1", 80)) == ("policy", "denied")
	assert host.refusal((TOKEN, 80), "other.test") == ("policy", "denied")
	assert not proxy.asked


@pytest.mark.parametrize(
	"reply, kind",
	[
		(upstream.REFUSED, "refused"),
		(upstream.NET_UNREACHABLE, "net-unreachable"),
		(upstream.HOST_UNREACHABLE, "host-unreachable"),
		(upstream.NOT_ALLOWED, "denied"),
	],
)
def test_the_reasons_of_socks5_become_classes(start, upstreams, origin, reply, kind):
	host = start(through(upstreams.socks5(reply=reply)))
	assert host.refusal(origin.destination) == ("dial", kind)


@pytest.mark.parametrize("reply", [upstream.GENERAL, upstream.TTL_EXPIRED, 7, 8, 99])
def test_other_failures_of_socks5_are_failures_of_the_dial(start, upstreams, origin, reply):
	stage, kind = start(through(upstreams.socks5(reply=reply))).refusal(origin.destination)
	assert stage == "dial" and kind != "none"


@pytest.mark.parametrize(
	"status",
	[
		"302 Found",
		"403 Forbidden",
		"407 Proxy Authentication Required",
		"502 Bad Gateway",
		"504 Gateway Timeout",
		"999 What",
	],
)
def test_an_http_status_other_than_2xx_is_a_failure_of_the_dial(start, upstreams, origin, status):
	host = start(through(upstreams.http(status=status)))
	with host.open(origin.destination) as opener:
		assert not opener.wait()
		stage, kind, text = host.outcome(opener.id)
	assert stage == "dial" and kind != "none"
	assert status[:3] in text, text


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_refuses_is_told(start, origin, kind):
	with RefusingPort() as refusing:
		host = start(RULES + f"upstream {kind}://127.0.0.1:{refusing.port}")
		assert host.refusal(origin.destination) == ("dial", "refused")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("silence", ["in connect", "in the handshake"])
def test_a_proxy_that_is_silent_times_out(start, origin, kind, silence):
	with (SilentPort() if silence == "in connect" else Origin()) as proxy:
		host = start(
			RULES + f"upstream {kind}://127.0.0.1:{proxy.port}",
			timeouts="header=5s dial=400ms idle=1h drain=1s",
		)
		assert host.refusal(origin.destination) == ("dial", "timed-out")


class ByHand:
	"""A proxy whose bytes the test writes itself."""

	def __init__(self, start, kind):
		self.kind, self.origin = kind, Origin()
		self.host = start(RULES + f"upstream {kind}://127.0.0.1:{self.origin.port}")
		self.opener = self.host.open(("11.0.0.5", 80))
		self.socket = self.origin.accept()
		self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		for each in (self.opener, self.socket, self.origin):
			each.close()

	def read_question(self):
		if self.kind == "socks5":
			greeting = self.socket.recv(2, socket.MSG_WAITALL)
			self.socket.recv(greeting[1], socket.MSG_WAITALL)
			self.socket.sendall(b"\x05\x00")
			return self.socket.recv(10, socket.MSG_WAITALL)
		head = b""
		while not head.endswith(b"\r\n\r\n"):
			head += self.socket.recv(1)
		return head

	def grant(self):
		if self.kind == "socks5":
			return b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
		return b"HTTP/1.1 200 Connection established\r\nVia: by hand\r\n\r\n"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_in_single_bytes_is_understood(start, kind):
	with ByHand(start, kind) as proxy:
		proxy.read_question()
		for byte in proxy.grant():
			proxy.socket.sendall(bytes([byte]))
		assert proxy.opener.wait()
		exchange(proxy.opener, proxy.socket)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_destination_says_right_behind_the_answer_is_not_lost(start, kind):
	with ByHand(start, kind) as proxy:
		proxy.read_question()
		proxy.socket.sendall(proxy.grant() + b"220 ready" + bytes(50_000))
		assert proxy.opener.wait()
		assert proxy.opener.receive(9 + 50_000) == b"220 ready" + bytes(50_000)
		assert transfer.both_ways([(proxy.opener.socket, proxy.socket)], 1_000_000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", [b"", b"one word", bytes(100_000)])
def test_an_answer_a_word_and_the_end_in_one_moment_are_three_things(start, kind, word):
	with ByHand(start, kind) as proxy:
		proxy.read_question()
		with proxy.host.stopped():
			proxy.socket.sendall(proxy.grant() + word)
			proxy.socket.shutdown(socket.SHUT_WR)
		assert proxy.opener.wait()
		assert proxy.opener.receive_all() == word
		assert proxy.opener.probe()
		proxy.opener.send(b"still open this way")
		assert proxy.socket.recv(100) == b"still open this way"


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_right_behind_the_answer_is_told_as_one(start, kind):
	with ByHand(start, kind) as proxy:
		proxy.read_question()
		with proxy.host.stopped():
			proxy.socket.sendall(proxy.grant() + b"last words")
			reset(proxy.socket)
		assert proxy.opener.events(timeout=20)
		assert proxy.opener.receive_all() in (b"last words", b"")
		assert not proxy.opener.probe()
		assert proxy.host.outcome(proxy.opener.id)[1] == "reset"


def test_socks5_answers_with_a_bound_name_or_ipv6_address_are_read_whole(start):
	for bound in (b"\x03\x09localhost", b"\x04" + bytes(16)):
		with ByHand(start, "socks5") as proxy:
			proxy.read_question()
			proxy.socket.sendall(b"\x05\x00\x00" + bound + b"\x00\x00" + b"first bytes")
			assert proxy.opener.wait()
			assert proxy.opener.receive(11) == b"first bytes"


GARBAGE = {
	"http": [b"", b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 2000 x\r\n\r\n", b"HTTP/1.1 20\r\n\r\n",
		b"HTTP/1.1 -200 x\r\n\r\n", b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"],
	"socks5": [b"", b"\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00", b"\x05\x00\x00\x09\x00\x00",
		b"HTTP/1.1 200 OK\r\n\r\n"],
}


@pytest.mark.parametrize("kind, answer", [(kind, each) for kind in KINDS for each in GARBAGE[kind]])
def test_an_answer_that_is_not_one_fails_the_dial(start, kind, answer):
	with ByHand(start, kind) as proxy:
		proxy.read_question()
		proxy.socket.sendall(answer)
		with contextlib.suppress(OSError):  # hostd may have seen enough, and reset
			proxy.socket.shutdown(socket.SHUT_WR)
		assert not proxy.opener.wait()
		stage, reason, _ = proxy.host.outcome(proxy.opener.id)
		assert stage == "dial" and reason != "none"


def test_interim_http_answers_are_skipped(start):
	with ByHand(start, "http") as proxy:
		proxy.read_question()
		proxy.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n")
		proxy.socket.sendall(proxy.grant() + b"and now the tunnel")
		assert proxy.opener.wait()
		assert proxy.opener.receive(18) == b"and now the tunnel"


def test_an_http_answer_without_an_end_is_given_up(start):
	with ByHand(start, "http") as proxy:
		proxy.read_question()
		proxy.socket.sendall(b"HTTP/1.1 200 OK\r\n")
		try:
			while True:
				proxy.socket.sendall(b"X-Filler: " + bytes([65]) * 1000 + b"\r\n")
		except (ConnectionResetError, BrokenPipeError):
			pass
		assert not proxy.opener.wait()


def test_socks5_method_that_was_not_offered_is_refused(start):
	with ByHand(start, "socks5") as proxy:
		proxy.socket.recv(3, socket.MSG_WAITALL)
		proxy.socket.sendall(b"\x05\xff")
		assert not proxy.opener.wait()
		assert proxy.host.outcome(proxy.opener.id)[0] == "dial"


def test_nothing_of_the_program_s_reaches_the_proxy_before_its_answer(start, upstreams, origin):
	with ByHand(start, "http") as proxy:
		head = proxy.read_question()
		assert head.startswith(b"CONNECT 11.0.0.5:80 HTTP/1.1\r\n")
		assert b"\r\nHost: 11.0.0.5:80\r\n" in head
		proxy.socket.setblocking(False)
		with pytest.raises(BlockingIOError):
			proxy.socket.recv(1)
