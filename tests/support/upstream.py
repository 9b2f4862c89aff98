# SPDX-License-Identifier: MIT
"""Upstream proxies that do as told: SOCKS5 (RFC 1928) and HTTP CONNECT (RFC 9110, 9.3.6).

An upstream that holds its answer is how a test makes hostd's dial last exactly as long as it
wants: until release(), or for hold seconds.

	proxy = upstreams.socks5(hold=5.0)                     # then grants and relays
	proxy = upstreams.socks5(hold=None, reply=REFUSED)     # None: until proxy.release()
	proxy = upstreams.http(status="403 Forbidden")
"""
import os
import select
import socket
import struct
import threading

from support import serving

GRANTED, GENERAL, NOT_ALLOWED, NET_UNREACHABLE, HOST_UNREACHABLE, REFUSED, TTL_EXPIRED = range(7)


class Upstream:
	scheme = ""

	def __init__(self, host, hold=0.0, target=None):
		"""target: dial this instead of what was asked for."""
		self._hold = hold
		self._target = target
		self._released = os.eventfd(0, os.EFD_CLOEXEC)  # readable for good once released
		self._changed = threading.Condition()
		self.asked = []  # (host, port) as they were asked for
		listener = socket.create_server((host, 0), backlog=1024)
		self.host, self.port = listener.getsockname()
		self.url = f"{self.scheme}://{self.host}:{self.port}"
		self._server = serving.Server(listener, self._run)

	def release(self):
		"""Lets every held answer, and all later ones, go."""
		os.eventfd_write(self._released, 1)

	def wait_asked(self, count=1, timeout=30):
		with self._changed:
			if not self._changed.wait_for(lambda: len(self.asked) >= count, timeout):
				raise AssertionError(f"{len(self.asked)} of {count} requests came to {self.url}")
			return self.asked[:count]

	def stop(self):
		self.release()
		self._server.stop()

	def _run(self, sock):
		try:
			address = self._read_question(sock)
			with self._changed:
				self.asked.append(address)
				self._changed.notify_all()
			self._wait_release(sock)
			self._answer(sock, self._target or address)
		except (ValueError, struct.error):
			pass

	def _wait_release(self, sock):
		"""Ends early, with ValueError, when whoever asked has gone."""
		poller = select.poll()
		poller.register(self._released, select.POLLIN)
		poller.register(sock, select.POLLRDHUP)
		ready = dict(poller.poll(None if self._hold is None else self._hold * 1000))
		if ready and self._released not in ready:
			raise ValueError("given up")

	def _relay(self, one, other):
		"""Both directions, half-closes included, until both have ended."""
		target = {one: other, other: one}
		reading = {one, other}
		while reading:
			for sock in select.select(list(reading), [], [])[0]:
				data = sock.recv(65536)
				if data:
					target[sock].sendall(data)
				else:
					reading.remove(sock)
					target[sock].shutdown(socket.SHUT_WR)


def read_exactly(sock, count):
	data = b""
	while len(data) < count:
		more = sock.recv(count - len(data))
		if not more:
			raise ValueError("ended early")
		data += more
	return data


class Socks5(Upstream):
	scheme = "socks5"

	def __init__(self, host, hold=0.0, reply=GRANTED, target=None):
		self._reply = reply
		super().__init__(host, hold, target)

	def _read_question(self, sock):
		version, count = read_exactly(sock, 2)
		methods = read_exactly(sock, count)
		if version != 5 or 0 not in methods:
			raise ValueError("not SOCKS5 without authentication")
		sock.sendall(b"\x05\x00")
		_, command, _, kind = read_exactly(sock, 4)
		if command != 1:
			raise ValueError("not CONNECT")
		if kind == 1:
			host = socket.inet_ntop(socket.AF_INET, read_exactly(sock, 4))
		elif kind == 4:
			host = socket.inet_ntop(socket.AF_INET6, read_exactly(sock, 16))
		else:
			host = read_exactly(sock, read_exactly(sock, 1)[0]).decode()
		return host, struct.unpack("!H", read_exactly(sock, 2))[0]

	def _answer(self, sock, address):
		reply, other = self._reply, None
		if reply == GRANTED:
			try:
				other = self._server.keep(socket.create_connection(address))
			except ConnectionRefusedError:
				reply = REFUSED
			except OSError:
				reply = HOST_UNREACHABLE
		sock.sendall(struct.pack("!BBBB4sH", 5, reply, 0, 1, b"\0\0\0\0", 0))
		if other:
			with other:
				self._relay(sock, other)


class HttpConnect(Upstream):
	scheme = "http"

	def __init__(self, host, hold=0.0, status="200 Connection established", target=None):
		self._status = status
		super().__init__(host, hold, target)

	def _read_question(self, sock):
		head = b""
		while not head.endswith(b"\r\n\r\n"):
			head += read_exactly(sock, 1)
		method, authority, _ = head.split(b"\r\n")[0].decode().split(" ")
		if method != "CONNECT":
			raise ValueError("not CONNECT")
		host, port = authority.rsplit(":", 1)
		return host.strip("[]"), int(port)

	def _answer(self, sock, address):
		other = None
		if self._status.startswith("200"):
			other = self._server.keep(socket.create_connection(address))
		sock.sendall(f"HTTP/1.1 {self._status}\r\n\r\n".encode())
		if other:
			with other:
				self._relay(sock, other)


class Upstreams:
	"""Hands out upstream proxies and stops them all."""

	def __init__(self, host):
		self._host, self._all = host, []

	def socks5(self, **options):
		self._all.append(Socks5(self._host, **options))
		return self._all[-1]

	def http(self, **options):
		self._all.append(HttpConnect(self._host, **options))
		return self._all[-1]

	def stop(self):
		for proxy in self._all:
			proxy.stop()
