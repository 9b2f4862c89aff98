# SPDX-License-Identifier: MIT
"""Airlock's wire protocol, written a second time and from its description alone.

The tests speak to hostd through this module, so that a mistake in wire/*.c shows as a
disagreement. Everything here is about bytes on one stream:

	request   1024 bytes: PROXY protocol v2, TLVs, padded with NOOP
	answer    version | status | length (2, big endian) | payload, for control verbs
	gate      the opener may write once hostd has consumed the request

`Opener` is the enclave's end of one stream, over what support.transport says.
"""

import ctypes
import errno
import os
import select
import socket
import struct
import time

from support import transport

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
SIZE = 1024
HEADER_SIZE = 16

LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, TCP6 = 0x00, 0x11, 0x21

AUTHORITY, NOOP, UNIQUE_ID = 0x02, 0x04, 0x05
VERSION, VERB, PROGRAM = 0xE0, 0xE1, 0xE2

PING, RESOLVE, STATUS, GATE = 1, 2, 3, 4

OK, MALFORMED, DENIED, UNKNOWN_VERB, BUSY = 0, 1, 2, 3, 4

STAGES = ["open", "policy", "name", "dial", "relay", "limit", "tls", "internal"]
CLASSES = [
	"none",
	"refused",
	"timed-out",
	"host-unreachable",
	"net-unreachable",
	"denied",
	"no-such-name",
	"try-again",
	"limit",
	"reset",
	"tls-failed",
	"internal",
]

NAME_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")
LIBC = ctypes.CDLL(None)
PATIENCE = 30.0  # seconds that a test waits for an event that must come


class Refused(Exception):
	"""What a reader of requests must not accept."""


# --- building


def tlv(kind, value):
	return struct.pack("!BH", kind, len(value)) + value


def new_id():
	return os.urandom(16)


def pad(content):
	"""NOOP up to SIZE. content may fill it exactly; one or two spare bytes cannot be padded."""
	spare = SIZE - len(content)
	if spare == 0:
		return content
	assert spare >= 3, "no room for a NOOP"
	return content + tlv(NOOP, bytes(spare - 3))


def assemble(ver_cmd, family, addresses, tlvs, length=SIZE - HEADER_SIZE, signature=SIGNATURE):
	"""A request from its raw parts, for requests that are wrong on purpose."""
	head = signature + struct.pack("!BBH", ver_cmd, family, length)
	return pad(head + addresses + b"".join(tlvs))


def addresses_of(source, destination):
	"""Family byte and address block of ("address", port) pairs of one family."""
	for kind, family in ((socket.AF_INET, TCP4), (socket.AF_INET6, TCP6)):
		try:
			block = socket.inet_pton(kind, source[0]) + socket.inet_pton(kind, destination[0])
		except OSError:
			continue
		return family, block + struct.pack("!HH", source[1], destination[1])
	raise ValueError(f"{source} and {destination} are not of one family")


def mandatory(stream_id, program=b"", version=1, flags=0):
	parts = [tlv(UNIQUE_ID, stream_id), tlv(VERSION, bytes([version, flags]))]
	if program:
		parts.append(tlv(PROGRAM, program))
	return parts


def connect(destination, name=None, stream_id=None, program=b"", source=None, extra=()):
	"""A request to connect. name, when given, stands for destination's address."""
	stream_id = stream_id or new_id()
	if source is None:
		source = ("::1" if ":" in destination[0] else "127.0.0.1", 40000)
	family, block = addresses_of(source, destination)
	parts = [tlv(AUTHORITY, name if isinstance(name, bytes) else name.encode())] if name else []
	return assemble(PROXY, family, block, parts + mandatory(stream_id, program) + list(extra))


def control(verb, argument=b"", stream_id=None, program=b"", extra=()):
	parts = mandatory(stream_id or new_id(), program)
	parts.append(tlv(VERB, bytes([verb]) + argument))
	return assemble(LOCAL, UNSPEC, b"", parts + list(extra))


# --- reading: the oracle for what a listener accepts


def read_tlvs(block):
	"""(type, value) pairs in order; NOOP left out."""
	found, offset = [], 0
	while offset < len(block):
		if offset + 3 > len(block):
			raise Refused("a TLV's header runs past the end")
		kind, length = struct.unpack_from("!BH", block, offset)
		if offset + 3 + length > len(block):
			raise Refused("a TLV's value runs past the end")
		if kind != NOOP:
			found.append((kind, block[offset + 3 : offset + 3 + length]))
		offset += 3 + length
	return found


def check_name(name):
	if not 1 <= len(name) <= 253 or not set(name) <= NAME_BYTES:
		raise Refused("not a name in wire form")
	labels = name.split(b".")
	if any(not 1 <= len(label) <= 63 for label in labels):
		raise Refused("an empty or a long label")
	if labels[-1].isdigit() or labels[-1].startswith(b"0x"):
		raise Refused("a name that would be read as an address")


def check_tlvs(tlvs, is_control):
	kinds = [kind for kind, _ in tlvs]
	if len(kinds) != len(set(kinds)):
		raise Refused("a duplicate")
	values = dict(tlvs)
	if len(values.get(UNIQUE_ID, b"")) != 16:
		raise Refused("no UNIQUE_ID of 16 bytes")
	if len(values.get(VERSION, b"")) != 2 or values[VERSION][0] != 1:
		raise Refused("no version 1")
	if len(values.get(PROGRAM, b"")) > 15:
		raise Refused("a long program name")
	if AUTHORITY in values:
		check_name(values[AUTHORITY])
	if is_control != (VERB in values) or values.get(VERB) == b"":
		raise Refused("a verb on a connect, or none on a control request")
	return values


def decode(request):
	"""{type: value} of a request that a listener must accept; raises Refused for all others."""
	if len(request) != SIZE or request[:12] != SIGNATURE:
		raise Refused("signature or size")
	ver_cmd, family, length = struct.unpack_from("!BBH", request, 12)
	if ver_cmd not in (LOCAL, PROXY) or length != SIZE - HEADER_SIZE:
		raise Refused("version, command or length")
	is_control = ver_cmd == LOCAL
	sizes = {UNSPEC: 0} if is_control else {TCP4: 12, TCP6: 36}
	if family not in sizes:
		raise Refused("family")
	return check_tlvs(read_tlvs(request[HEADER_SIZE + sizes[family] :]), is_control)


def is_acceptable(request):
	try:
		decode(request)
	except Refused:
		return False
	return True


# --- answers


class Answer:
	def __init__(self, raw):
		assert len(raw) >= 4, f"an answer of {len(raw)} bytes"
		version, self.status, length = struct.unpack_from("!BBH", raw)
		assert version == 1
		assert length == len(raw) - 4, "the length that is announced is not what came"
		self.payload = raw[4:]

	def outcome(self):
		"""(stage, class, text) of a STATUS answer, as words."""
		assert self.status == OK, self.status
		return STAGES[self.payload[0]], CLASSES[self.payload[1]], self.payload[2:].decode("ascii")

	def addresses(self):
		"""(class, ttl, [addresses]) of a RESOLVE answer; ttl None when the lookup failed."""
		assert self.status == OK, self.status
		failure = CLASSES[self.payload[0]]
		if failure != "none":
			return failure, None, []
		(ttl,) = struct.unpack_from("!I", self.payload, 1)
		found, offset = [], 5
		while offset < len(self.payload):
			kind, size = {4: (socket.AF_INET, 4), 6: (socket.AF_INET6, 16)}[self.payload[offset]]
			raw = self.payload[offset + 1 : offset + 1 + size]
			found.append(socket.inet_ntop(kind, raw))
			offset += 1 + size
		return failure, ttl, found


# --- the opener's end of a stream


def limit_waits(stream, patience):
	"""The kernel's own timeouts. settimeout() would make the socket non-blocking and poll first. By libc, because
	Python takes nothing but numbers for options of AF_VSOCK sockets."""
	timeval = struct.pack("ll", int(patience), int(patience % 1 * 1e6))
	for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
		assert LIBC.setsockopt(stream.fileno(), socket.SOL_SOCKET, option, timeval, len(timeval)) == 0


def dial(path, patience=PATIENCE):
	"""A connected stream. A unix listener whose backlog is full is waited for."""
	stream, address = transport.open_socket(path)
	limit_waits(stream, patience)
	try:
		stream.connect(address)
	except OSError:
		stream.close()
		raise
	return stream


class Opener:
	"""One stream to hostd: arms the gate, sends a request, and then is the program's socket."""

	def __init__(self, path, request=None, patience=PATIENCE):
		self.patience = patience
		self.socket = dial(path, patience)
		self.is_unix = self.socket.family == socket.AF_UNIX
		self.buffer_size = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2
		if request is not None:
			self.send_request(request)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	def send_request(self, request):
		if self.is_unix:
			self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
		self.socket.sendall(request)

	def events(self, wanted=select.POLLOUT, timeout=0.0):
		"""poll's answer: 0 when nothing came within timeout seconds."""
		poll = select.poll()
		poll.register(self.socket, wanted)
		ready = poll.poll(timeout * 1000)
		return ready[0][1] if ready else 0

	def is_writable(self):
		return self.events() == select.POLLOUT

	def wait(self):
		"""Waits for hostd's decision; true when the gate was opened and the stream lives."""
		events = self.events(select.POLLOUT, self.patience)
		assert events, "hostd decided nothing"
		if events & (select.POLLERR | select.POLLHUP):
			return False
		if self.is_unix:
			self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer_size)
		return self.probe()

	def probe(self):
		"""The zero-byte send: false once the other side has closed altogether."""
		try:
			self.socket.send(b"", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
		except BrokenPipeError:
			return False
		return True

	def error(self):
		"""SO_ERROR or what a read gives: the errno of an end that was not orderly, else 0."""
		pending = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
		if pending:
			return pending
		try:
			self.socket.recv(1)
		except OSError as error:
			return error.errno or errno.ETIMEDOUT
		return 0

	def send(self, data):
		self.socket.sendall(data)

	def finish(self):
		self.socket.shutdown(socket.SHUT_WR)

	def receive(self, size):
		"""Exactly size bytes, or fewer when the stream ended."""
		got = bytearray()
		while len(got) < size:
			piece = self.socket.recv(min(size - len(got), 1 << 20))
			if not piece:
				break
			got += piece
		return bytes(got)

	def receive_all(self):
		got = bytearray()
		while piece := self.socket.recv(1 << 16):
			got += piece
		return bytes(got)

	def close(self):
		self.socket.close()


def ask(path, request, patience=PATIENCE):
	"""Sends a control request on a stream of its own and returns the Answer."""
	with Opener(path, request, patience) as stream:
		return Answer(stream.receive_all())


def ping(path):
	return ask(path, control(PING))


def resolve(path, name):
	return ask(path, control(RESOLVE, name if isinstance(name, bytes) else name.encode()))


def status(path, stream_id, wait=False):
	return ask(path, control(STATUS, stream_id + bytes([1 if wait else 0])))


def gate(path, milliseconds):
	"""An opener whose request is held that long before it is answered."""
	return Opener(path, control(GATE, struct.pack("!H", milliseconds)))


def wait_until(condition, what, patience=PATIENCE):
	"""Polls for a state that has no event of its own (another process's counters, say)."""
	limit = time.monotonic() + patience
	while not (value := condition()):
		assert time.monotonic() < limit, f"never happened: {what}"
		time.sleep(0.01)
	return value
