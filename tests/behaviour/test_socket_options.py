# SPDX-License-Identifier: MIT
"""Names, options and ioctls of a routed stream: TCP's own answers, loopback compared with loopback."""
import socket

import pytest

from support import peer

CASES = ["peer-name", "socket-name", "bound-name", "mapped", "options-before", "options-after", "sizes",
	"information", "ioctl"]


@pytest.mark.parametrize("case", CASES)
def test_what_a_connected_socket_says_of_itself(airlock, peers, probe, case):
	origin = peers.listen(peer.echo, host="127.0.0.1")
	airlock.hairpin([probe("options"), case, origin.host, origin.port]).assert_same()


@pytest.mark.parametrize("case", ["peer-name", "socket-name", "options-after"])
def test_what_a_connected_ipv6_socket_says_of_itself(airlock, peers, probe, case):
	origin = peers.listen(peer.echo, host="::1")
	airlock.hairpin([probe("options"), case, origin.host, origin.port]).assert_same()


def test_the_state_of_a_connection_is_told(both, peers, probe):
	def serve(connection):
		wish = connection.sock.recv(1)
		if wish == b"r":
			connection.reset()
			return
		if wish:
			connection.send(b"y")
			connection.sock.shutdown(socket.SHUT_WR)
		connection.hold()
	origin = peers.listen(serve)
	both([probe("options"), "states", origin.host, origin.port]).assert_same()
