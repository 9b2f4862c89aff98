# SPDX-License-Identifier: MIT
"""A scriptable DNS server (UDP and TCP) for A, AAAA and CNAME records.

	dns.add("web.test", "11.0.0.5", "2600:11::5", ttl=30)
	dns.fail("broken.test", SERVFAIL)          # or REFUSED, NXDOMAIN
	dns.alias("www.test", "web.test")
	dns.change("moving.test", ["11.0.0.5"], ["10.11.0.1"])   # first query, every later one
	dns.delay("slow.test", 2.0)                # or dns.hold(name), dns.release(name)
	dns.ignore("silent.test")                  # never answers
	dns.lose("unlucky.test", 2)                # nor do the first two queries for it get an answer

A name that nobody added does not exist. A name without an address of the asked family has no data.
"""
import ipaddress
import socket
import struct
import threading

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
A, CNAME, AAAA = 1, 5, 28
TYPE_NAMES = {A: "A", CNAME: "CNAME", AAAA: "AAAA"}


def encode_name(name):
	encoded = b""
	for label in name.split("."):
		encoded += bytes([len(label)]) + label.encode()
	return encoded + b"\0"


def read_question(message):
	"""Returns (lower-case name, type, offset past the question)."""
	labels, offset = [], 12
	while message[offset] != 0:
		length = message[offset]
		labels.append(message[offset + 1:offset + 1 + length].decode("latin-1").lower())
		offset += 1 + length
	kind, _ = struct.unpack_from("!HH", message, offset + 1)
	return ".".join(labels), kind, offset + 5


class Entry:
	def __init__(self):
		self.code = NOERROR
		self.answers = [[]]  # address lists; the last one stays
		self.ttl = 60
		self.alias = None
		self.is_ignored = False
		self.losses = 0  # queries still to be lost
		self.pause = 0.0
		self.gate = None  # an Event while held
		self.asked = {}


class DnsServer:
	def __init__(self, address="127.0.0.1", port=53):
		self._lock = threading.Condition()
		self._stopped = threading.Event()
		self._entries = {}
		self.queries = []  # (name, "A" or "AAAA" or a number)
		self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self._udp.bind((address, port))
		self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
		self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		self._tcp.bind((address, self._udp.getsockname()[1]))
		self._tcp.listen(64)
		self.address, self.port = self._udp.getsockname()
		for target in (self._serve_udp, self._serve_tcp):
			threading.Thread(target=target, daemon=True).start()

	# --- scripting

	def _change(self, name):
		return self._entries.setdefault(name.lower().rstrip("."), Entry())

	def add(self, name, *addresses, ttl=60):
		with self._lock:
			entry = self._change(name)
			entry.answers, entry.ttl = [list(addresses)], ttl
		return name

	def change(self, name, *answers, ttl=0):
		with self._lock:
			entry = self._change(name)
			entry.answers, entry.ttl, entry.asked = [list(each) for each in answers], ttl, {}

	def alias(self, name, target):
		with self._lock:
			self._change(name).alias = target

	def fail(self, name, code):
		with self._lock:
			self._change(name).code = code

	def ignore(self, name):
		with self._lock:
			self._change(name).is_ignored = True

	def lose(self, name, queries):
		with self._lock:
			self._change(name).losses = queries

	def delay(self, name, seconds):
		with self._lock:
			self._change(name).pause = seconds

	def hold(self, name):
		with self._lock:
			self._change(name).gate = threading.Event()

	def release(self, name):
		with self._lock:
			self._change(name).gate.set()

	def reset(self):
		with self._lock:
			for entry in self._entries.values():
				if entry.gate:
					entry.gate.set()
			self._entries = {}
			self.queries = []

	def wait_query(self, name, timeout=30):
		"""Returns once somebody has asked for the name."""
		name = name.lower()
		with self._lock:
			if not self._lock.wait_for(lambda: any(q[0] == name for q in self.queries), timeout):
				raise AssertionError(f"nobody asked for {name}: {self.queries}")

	def stop(self):
		self.reset()
		self._stopped.set()
		for sock in (self._udp, self._tcp):
			try:
				sock.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
			sock.close()

	# --- answering

	def _records(self, entry, name, kind):
		"""Resource records for the question, and the response code."""
		records, turn = [], entry.asked.get(kind, 0)
		entry.asked[kind] = turn + 1
		if entry.alias:
			data = encode_name(entry.alias)
			records.append((name, CNAME, entry.ttl, data))
			name, entry = entry.alias, self._entries.get(entry.alias)
			if entry is None:
				return records, NXDOMAIN
		if entry.code != NOERROR:
			return records, entry.code
		for text in entry.answers[min(turn, len(entry.answers) - 1)]:
			address = ipaddress.ip_address(text)
			if kind == (A if address.version == 4 else AAAA):
				records.append((name, kind, entry.ttl, address.packed))
		return records, NOERROR

	def _answer(self, message):
		"""The reply to a query, or None for none; waits as scripted."""
		name, kind, end = read_question(message)
		with self._lock:
			self.queries.append((name, TYPE_NAMES.get(kind, kind)))
			self._lock.notify_all()
			entry = self._entries.get(name)
			records, code = self._records(entry, name, kind) if entry else ([], NXDOMAIN)
			if entry and entry.is_ignored:
				return None
			if entry and entry.losses:
				entry.losses -= 1
				return None
			pause, gate = (entry.pause, entry.gate) if entry else (0, None)
		if pause:
			self._stopped.wait(pause)
		if gate:
			gate.wait()
		flags = 0x8580 | code  # response, authoritative, recursion desired and available
		reply = message[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + message[12:end]
		for owner, record_kind, ttl, data in records:
			reply += encode_name(owner) + struct.pack("!HHIH", record_kind, 1, ttl, len(data)) + data
		return reply

	def _reply_udp(self, message, sender):
		reply = self._answer(message)
		if reply is not None and not self._stopped.is_set():
			try:
				self._udp.sendto(reply, sender)
			except OSError:
				pass

	def _serve_udp(self):
		while not self._stopped.is_set():
			try:
				message, sender = self._udp.recvfrom(4096)
			except OSError:
				return
			if len(message) >= 17:
				threading.Thread(target=self._reply_udp, args=(message, sender), daemon=True).start()

	def _reply_tcp(self, connection):
		with connection, connection.makefile("rb") as stream:
			while len(head := stream.read(2)) == 2:
				reply = self._answer(stream.read(struct.unpack("!H", head)[0]))
				if reply is None:
					return
				connection.sendall(struct.pack("!H", len(reply)) + reply)

	def _serve_tcp(self):
		while not self._stopped.is_set():
			try:
				connection, _ = self._tcp.accept()
			except OSError:
				return
			threading.Thread(target=self._reply_tcp, args=(connection,), daemon=True).start()
