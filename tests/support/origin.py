# SPDX-License-Identifier: MIT
"""Destinations that a test holds in its own hands, instead of a server with a script."""

import contextlib
import socket
import struct

from support import peer, wire, world


IPV6_FREEBIND = 78  # linux/in6.h: the world's IPv6 block is routed to lo, but only one address is assigned


class Origin:
	"""A TCP listener; accept() gives the connection that hostd made."""

	def __init__(self, address="127.0.0.1", port=0, backlog=128):
		family = socket.AF_INET6 if ":" in address else socket.AF_INET
		self.socket = socket.socket(family, socket.SOCK_STREAM)
		self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		if family == socket.AF_INET6:
			self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
			self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
		self.socket.bind((address, port))
		self.socket.listen(backlog)
		self.socket.settimeout(wire.PATIENCE)
		self.address, self.port = self.socket.getsockname()[:2]

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	@property
	def destination(self):
		return self.address, self.port

	def accept(self):
		accepted, _ = self.socket.accept()
		accepted.setblocking(True)
		wire.limit_waits(accepted, wire.PATIENCE)
		return accepted

	def has_caller(self):
		"""True when a connection waits to be accepted."""
		self.socket.setblocking(False)
		try:
			self.socket.accept()[0].close()
		except BlockingIOError:
			return False
		finally:
			self.socket.settimeout(wire.PATIENCE)
		return True

	def close(self):
		self.socket.close()


class RefusingPort:
	"""A port that is ours and on which nobody listens: connections to it are refused."""

	def __init__(self, address="127.0.0.1", port=0):
		family = socket.AF_INET6 if ":" in address else socket.AF_INET
		self.socket = socket.socket(family, socket.SOCK_STREAM)
		self.socket.bind((address, port))
		self.destination = self.socket.getsockname()[:2]
		self.port = self.destination[1]

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.socket.close()


class SilentPort(Origin):
	"""Connections to it are neither accepted nor refused, until answer() is called.

	The kernel drops the SYN of a listener whose queue is full, and the dialler sends it again
	after 1 s, 3 s, 7 s (Linux 6.5 and later: 1 s, 2 s, 3 s).
	"""

	def __init__(self, address="127.0.0.1", port=0):
		super().__init__(address, port, backlog=0)
		self.patience = contextlib.ExitStack()
		self.patience.enter_context(world.patient())
		self.filler = socket.create_connection((self.address, self.port))
		wire.wait_until(lambda: peer.is_full(self.socket), "the queue is full")

	def answer(self):
		"""Empties the queue: the next SYN is answered."""
		self.filler.close()
		self.socket.listen(128)
		self.accept().close()

	def close(self):
		self.patience.close()
		self.filler.close()
		super().close()


@contextlib.contextmanager
def pair(daemon, origin, **more):
	"""A granted stream as (opener, the destination's socket), closed at the end."""
	with daemon.open(origin.destination, **more) as opener:
		accepted = origin.accept()
		with accepted:
			assert opener.wait(), daemon.outcome(opener.id)
			yield opener, accepted


def match(openers, origin):
	"""Accepts as many connections as there are granted openers; (opener, its accepted socket) pairs.

	Streams that were opened one after the other may be dialled in any order.
	"""
	by_id = {}
	for opener in openers:
		opener.send(opener.id)
	for _ in openers:
		accepted = origin.accept()
		by_id[accepted.recv(len(openers[0].id), socket.MSG_WAITALL)] = accepted
	return [(opener, by_id[opener.id]) for opener in openers]


def reset(accepted):
	"""Closes with an RST."""
	accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	accepted.close()


def exchange(opener, accepted, size=1000):
	"""Bytes both ways on a stream that must be alive."""
	for sender, receiver, fill in ((opener.socket, accepted, b"o"), (accepted, opener.socket, b"d")):
		sender.sendall(fill * size)
		assert receiver.recv(size, socket.MSG_WAITALL) == fill * size
