# SPDX-License-Identifier: MIT
"""Bytes: every call that sends or receives, half-close, the end of a stream and its truth."""
import pytest

from support import peer

SENDERS = ["send", "write", "syscall", "writev", "sendmsg", "sendmmsg", "sendfile", "splice", "stdio"]
SIZES = [1, 1024, 31743, 31744, 31745, 65536, 1000001]


def pattern(length):
	return bytes((i * 31 + (i >> 8) * 17 + (i >> 16) * 7) & 0xff for i in range(length))


@pytest.mark.parametrize("sender", SENDERS)
def test_every_sending_call_sends_all_that_it_is_given(both, peers, probe, sender):
	origin = peers.listen(peer.echo)
	for size in SIZES:
		both([probe("transfer"), "echoed", origin.host, origin.port, sender, size]).assert_same()


def test_a_nonblocking_sender_gets_short_counts_and_loses_nothing(both, peers, probe):
	origin = peers.listen(peer.echo)
	both([probe("transfer"), "echoed-nonblocking", origin.host, origin.port, "send", 5000001]).assert_same()


def test_every_receiving_call(both, peers, probe):
	origin = peers.listen(peer.send_then_close(pattern(300000)))
	both([probe("transfer"), "receive-ways", origin.host, origin.port]).assert_same()


def test_waiting_for_more_than_a_buffer_holds(both, peers, probe):
	origin = peers.listen(peer.echo)
	both([probe("transfer"), "wait-all", origin.host, origin.port]).assert_same()


def test_a_far_end_that_half_closes_still_gets_our_bytes(both, peers, probe):
	origin = peers.listen(peer.send_then_close(b"early"))
	both([probe("transfer"), "far-half-close", origin.host, origin.port]).assert_same()
	for connection in origin.wait_connections(2):
		assert connection.wait_end() == "eof"
		assert connection.received == b"late\n"


def test_an_orderly_end_is_an_end(both, peers, probe):
	origin = peers.listen(peer.send_then_close(b"whole"))
	both([probe("transfer"), "until-the-end", origin.host, origin.port]).assert_same()


def test_a_reset_in_mid_transfer_is_not_an_end(both, peers, probe):
	origin = peers.listen(peer.send_then_reset(b"part of it"))
	result = both([probe("transfer"), "until-the-end", origin.host, origin.port, "x"]).assert_same()
	assert "end: -1 ECONNRESET" in result.airlock.stdout


def test_a_reset_ends_the_wait_for_more_than_a_buffer_holds(both, peers, probe):
	origin = peers.listen(peer.send_then_reset(b""))
	result = both([probe("transfer"), "wait-all-of-nothing", origin.host, origin.port]).assert_same()
	assert "recv MSG_WAITALL: -1 ECONNRESET" in result.airlock.stdout


def test_the_kernels_own_sends_tell_a_reset_before_they_raise_sigpipe(both, peers, probe):
	origin = peers.listen(peer.send_then_reset(b""))
	result = both([probe("transfer"), "reset-and-sigpipe", origin.host, origin.port]).assert_same()
	assert result.airlock.stdout.count("ECONNRESET\nSIGPIPE 0 times\n") == 3


def test_a_reset_after_our_own_half_close_is_not_an_end(both, peers, probe):
	"""When the zero-byte send can no longer tell."""
	def serve(connection):
		connection.send(b"part of it")
		connection.read_all()
		connection.reset()
	origin = peers.listen(serve)
	result = both([probe("transfer"), "until-the-end", origin.host, origin.port, "x", "and-shut"]).assert_same()
	assert "end: -1 ECONNRESET" in result.airlock.stdout


def test_a_truncated_http_1_0_body_is_an_error(both, peers):
	"""No length is announced: only the kind of end tells that bytes are missing."""
	def serve(connection):
		connection.read_until(b"\r\n\r\n")
		connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 5000)
		connection.wait_taken()
		connection.reset()
	origin = peers.listen(serve)
	result = both(["curl", "-sS", "-o", "/dev/null", f"http://{origin.host}:{origin.port}/"]).assert_same()
	assert result.airlock.status == 56


@pytest.mark.parametrize("case", ["nothing", "receive-timeout"])
def test_calls_at_the_edges(both, peers, probe, case):
	origin = peers.listen(peer.echo)
	both([probe("transfer"), case, origin.host, origin.port]).assert_same()


def test_a_blocking_send_gives_up_after_its_timeout(both, peers, probe):
	origin = peers.listen(peer.hold)
	both([probe("transfer"), "send-timeout", origin.host, origin.port], timeout=60).assert_same()
