# SPDX-License-Identifier: MIT
"""A scriptable origin: what a destination can do to a connection, exactly and on command.

	peer = peers.listen(serve=echo)            # host, port: a public address in the world
	peer = peers.listen(serve=reset)
	peer = peers.listen(serve=dribble(b"slow", interval=0.05))
	refusing = peers.refuse()                  # a port that nobody can be listening on
	silent = peers.drop()                      # SYNs are never answered: ETIMEDOUT after 3 s
	silent = peers.drop(gives_up=False)        # nor does the kernel give up within half a minute

Each connection is served in a thread of its own by serve(connection), which gets a Connection. What a
peer saw can be awaited: peer.wait_connections(2), connection.wait_end().
"""
import contextlib
import socket
import struct
import threading
import time

from support import world

LINGER_RESET = struct.pack("ii", 1, 0)
TCP_INFO_UNACKED = 24  # offset in struct tcp_info; of a listener: how many wait to be accepted, then how many may


def _as_proc_writes(name):
	"""An IPv4 address and port: a number in the machine's own byte order, a colon, another number."""
	return f"{struct.unpack('=I', socket.inet_aton(name[0]))[0]:08X}:{name[1]:04X}"


class Connection:
	def __init__(self, sock, address):
		self.sock = sock
		self.address = address
		self.received = b""
		self.end = None  # "eof" or "reset", once the other side has ended
		self.error = None  # an exception out of serve()
		self._ended = threading.Event()
		self._released = threading.Event()

	def read_all(self):
		"""Reads until the other side ends; returns everything that came on this connection."""
		try:
			while data := self.sock.recv(65536):
				self.received += data
			self.end = "eof"
		except ConnectionResetError:
			self.end = "reset"
		self._ended.set()
		return self.received

	def read(self, count):
		"""Reads exactly count bytes, less at the end."""
		got = b""
		while len(got) < count and (data := self.sock.recv(count - len(got))):
			got += data
		self.received += got
		return got

	def read_until(self, mark):
		got = b""
		while mark not in got and (data := self.sock.recv(4096)):
			got += data
		self.received += got
		return got

	def send(self, data):
		self.sock.sendall(data)

	def half_close(self):
		self.sock.shutdown(socket.SHUT_WR)

	def reset(self):
		self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
		self.sock.close()

	def hold(self, seconds=None):
		"""Does nothing until release() or the peer's stop()."""
		self._released.wait(seconds)

	def release(self):
		self._released.set()

	def wait_taken(self):
		"""Returns once the other side's program has read all that was sent: the receive queue of its socket,
		which is in the tests' network too, is empty (proc_net_tcp)."""
		ours, theirs = (_as_proc_writes(name) for name in (self.sock.getsockname(), self.sock.getpeername()))

		def is_taken():
			with open("/proc/net/tcp", encoding="ascii") as table:
				queues = {tuple(words[1:3]): words[4].split(":") for words in map(str.split, table)}
			sent, received = queues.get((ours, theirs)), queues.get((theirs, ours))
			return sent and received and int(sent[0], 16) == int(received[1], 16) == 0

		wait_until(is_taken, what="the other side to read")

	def wait_end(self, timeout=30):
		if not self._ended.wait(timeout):
			raise AssertionError(f"no end from {self.address} within {timeout} s; got {self.received[:200]!r}")
		return self.end


# --- what to serve

def echo(connection):
	"""Sends everything back, and its own end after the other side's."""
	while data := connection.sock.recv(65536):
		connection.received += data
		connection.sock.sendall(data)
	connection.end = "eof"
	connection._ended.set()


def swallow(connection):
	connection.read_all()


def hold(connection):
	connection.hold()


def reset(connection):
	connection.reset()


def close(_connection):
	"""A bare close: a reset when the other side's bytes are unread, else an end."""


def send_then_close(data):
	"""Orderly: data, end, then the other side's bytes are read to their end."""
	def serve(connection):
		connection.send(data)
		connection.half_close()
		connection.read_all()
	return serve


def send_then_reset(data):
	"""The reset follows once the other side has sent a byte: it has then surely read the data."""
	def serve(connection):
		connection.send(data)
		connection.sock.recv(1)
		connection.reset()
	return serve


def dribble(data, interval=0.02, size=1):
	def serve(connection):
		for start in range(0, len(data), size):
			connection.send(data[start:start + size])
			connection.hold(interval)
		connection.half_close()
		connection.read_all()
	return serve


def http(body=b"hello from the origin\n", status="200 OK", headers=()):
	"""Answers each request of an HTTP/1.1 connection that has no request body."""
	def serve(connection):
		head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
		while connection.read_until(b"\r\n\r\n"):
			connection.send("\r\n".join(head).encode() + body)
		connection.end = "eof"
		connection._ended.set()
	return serve


class Peer:
	def __init__(self, serve, host, port=0, backlog=1024, family=socket.AF_INET):
		self._serve = serve
		self._changed = threading.Condition()
		self._listener = socket.socket(family)
		self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		self._listener.bind((host, port))
		self._listener.listen(backlog)
		self.host, self.port = self._listener.getsockname()[:2]
		self.connections = []
		self._threads = []
		threading.Thread(target=self._accept, daemon=True).start()

	def _accept(self):
		while True:
			try:
				sock, address = self._listener.accept()
			except OSError:
				return
			connection = Connection(sock, address)
			thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
			with self._changed:
				self.connections.append(connection)  # first: whoever is served is known
				thread.start()
				self._threads.append(thread)
				self._changed.notify_all()

	def _run(self, connection):
		try:
			self._serve(connection)
		except ConnectionResetError:
			connection.end = "reset"
		except (BrokenPipeError, OSError, ValueError) as error:
			connection.error = error
		finally:
			connection.sock.close()
			connection._ended.set()

	@property
	def address(self):
		return (self.host, self.port)

	def wait_connections(self, count=1, timeout=30):
		"""The first count connections, once that many have come."""
		with self._changed:
			if not self._changed.wait_for(lambda: len(self.connections) >= count, timeout):
				raise AssertionError(f"{len(self.connections)} of {count} connections came to {self.address}")
			return self.connections[:count]

	def stop(self):
		try:
			self._listener.shutdown(socket.SHUT_RDWR)
		except OSError:
			pass
		self._listener.close()
		for connection in self.connections:
			connection.release()
			try:
				connection.sock.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
		for thread in self._threads:
			thread.join(5)


class Refusing:
	"""A port that is taken but not listened on: a SYN gets a reset, and nobody else can get the port."""

	def __init__(self, host, family=socket.AF_INET):
		self._sock = socket.socket(family)
		self._sock.bind((host, 0))
		self.host, self.port = self._sock.getsockname()[:2]
		self.address = (self.host, self.port)

	def stop(self):
		self._sock.close()


def is_full(listener):
	"""True when no further connection finds room: sk_acceptq_is_full() in include/net/sock.h."""
	waiting, room = struct.unpack_from("II", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), TCP_INFO_UNACKED)
	return waiting > room


class Dropping:
	"""A listener with a full accept queue: the kernel drops every further SYN (tcp(7), listen(2)). A dialler
	gives up after world.TIMED_OUT_SECONDS, or not for the time being."""

	def __init__(self, host, port=0, gives_up=True):
		family = socket.AF_INET6 if ":" in host else socket.AF_INET
		self._patience = contextlib.ExitStack()
		self._listener = socket.socket(family)
		self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		self._listener.bind((host, port))
		self._listener.listen(0)
		self.host, self.port = self.address = self._listener.getsockname()[:2]
		self._filler = socket.create_connection(self.address)
		wait_until(lambda: is_full(self._listener), what="a full accept queue")
		if not gives_up:
			self._patience.enter_context(world.patient())

	def stop(self):
		self._patience.close()
		self._filler.close()
		self._listener.close()


class Peers:
	"""Hands out peers and stops them all."""

	def __init__(self, host, host_6):
		self._host, self._host_6, self._all = host, host_6, []

	def _keep(self, peer):
		self._all.append(peer)
		return peer

	def listen(self, serve=echo, host=None, port=0, backlog=1024):
		host = host or self._host
		family = socket.AF_INET6 if ":" in host else socket.AF_INET
		return self._keep(Peer(serve, host, port, backlog, family))

	def listen_6(self, serve=echo, port=0):
		return self.listen(serve, self._host_6, port)

	def refuse(self, host=None):
		return self._keep(Refusing(host or self._host))

	def drop(self, host=None, port=0, gives_up=True):
		return self._keep(Dropping(host or self._host, port, gives_up))

	def drop_6(self, port=0, gives_up=True):
		return self.drop(self._host_6, port, gives_up)

	def stop(self):
		for peer in self._all:
			peer.stop()


def wait_until(condition, timeout=30, what="the condition"):
	"""For states that offer no event (/proc, a counter over HTTP). Returns the first true value."""
	deadline = time.monotonic() + timeout
	while not (value := condition()):
		if time.monotonic() > deadline:
			raise AssertionError(f"{what} did not come within {timeout} s")
		time.sleep(0.01)
	return value
