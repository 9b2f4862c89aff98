# SPDX-License-Identifier: MIT
"""TLS servers that do as told, for support.peer's listeners.

	origin = peers.listen(tls_origin.serve(context(certificate), tls_origin.echo))
	origin = peers.listen(tls_origin.serve(context(certificate), script, cut=Cut(record=3, at="middle")))

script(session) runs after the handshake. Python's ssl works on memory here, so that every record is seen
before it is sent: it can be cut, dribbled and held. connection.received is what was decrypted, and stays empty
unless the client sent application bytes; connection.session.raw is what came over TCP.
"""
import dataclasses
import socket
import ssl
import struct
import time
import warnings

DRIBBLE_SECONDS = 5  # the pauses of a busy machine are longer than asked for, and a handshake has ten seconds
HEADER = 5  # RFC 8446, 5.1: type, version, length
VERSIONS = {
	"1.1": ssl.TLSVersion.TLSv1_1,
	"1.2": ssl.TLSVersion.TLSv1_2,
	"1.3": ssl.TLSVersion.TLSv1_3,
}


def context(certificate, version=None, alpn=(), tickets=2, client_ca=None):
	"""A server's context that takes weak keys and digests, and old versions, when told to."""
	made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	made.set_ciphers("DEFAULT@SECLEVEL=0")
	made.load_cert_chain(certificate.chain, certificate.key)
	made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python's default makes a truncation an end
	made.num_tickets = tickets
	made.sni_callback = _remember_name
	if version:
		with warnings.catch_warnings():
			warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1, which is the point
			made.minimum_version = made.maximum_version = VERSIONS[version]
	if alpn:
		made.set_alpn_protocols(alpn)
	if client_ca:
		made.verify_mode = ssl.CERT_REQUIRED
		made.load_verify_locations(client_ca)
	return made


def _remember_name(tls, name, _context):
	tls.asked_name = name


@dataclasses.dataclass(frozen=True)
class Cut:
	"""Where the server's TCP stream stops: at the beginning of a record (counted from 0), behind its
	header, in its middle or one byte before its end. The end is a FIN, or an RST."""
	record: int
	at: str = "start"
	is_reset: bool = False

	def bytes_of(self, record):
		return {"start": 0, "header": HEADER, "middle": len(record) // 2, "last": len(record) - 1}[self.at]


class WasCut(Exception):
	"""The script's TLS has ended as its Cut said."""


class Session:
	"""One connection. connection is support.peer's."""

	def __init__(self, connection, ssl_context, cut=None, dribble=0.0):
		self.connection, self._cut, self._dribble = connection, cut, dribble
		self._dribbles_until = time.monotonic() + DRIBBLE_SECONDS
		self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
		self.tls = ssl_context.wrap_bio(self._in, self._out, server_side=True)
		self.raw, connection.received = bytearray(), bytearray()  # appended to without copying them
		self.sent = []  # the type of each record

	@property
	def server_name(self):
		"""What SNI said; None without."""
		return getattr(self.tls, "asked_name", None)

	# --- what is sent

	def _emit(self, data):
		if not self._dribble:
			self.connection.send(data)
			return
		for position in range(len(data)):
			self.connection.send(data[position:position + 1])
			if time.monotonic() < self._dribbles_until:
				time.sleep(self._dribble)

	def _stop_at_cut(self, record):
		if self._cut is None or len(self.sent) != self._cut.record:
			return
		self._emit(record[:self._cut.bytes_of(record)])
		if self._cut.is_reset:
			self.connection.reset()
		else:
			self.connection.half_close()
			self._drain()
		raise WasCut

	def _drain(self):
		"""What still comes is read, so that no RST follows the FIN."""
		try:
			while data := self.connection.sock.recv(65536):
				self.raw += data
		except ConnectionResetError:
			pass

	def flush(self):
		pending = self._out.read()
		while pending:
			size = HEADER + struct.unpack_from("!H", pending, 3)[0]
			record, pending = pending[:size], pending[size:]
			self._stop_at_cut(record)
			self._emit(record)
			self.sent.append(record[0])

	# --- ssl's calls, with the waiting that they leave to others

	def _fill(self):
		"""False once the client's TCP stream has ended."""
		data = self.connection.sock.recv(65536)
		self.raw += data
		self._in.write(data) if data else self._in.write_eof()
		return bool(data)

	def _do(self, call, *arguments):
		while True:
			try:
				result = call(*arguments)
				self.flush()
				return result
			except ssl.SSLWantReadError:
				self.flush()
				self._fill()
			except ssl.SSLError:
				self.flush()  # the alert
				raise

	def handshake(self):
		self._do(self.tls.do_handshake)

	def read(self, size=65536):
		"""What came, b"" after close_notify. ssl.SSLError at an end without one."""
		try:
			data = self._do(self.tls.read, size)
		except ssl.SSLZeroReturnError:
			data = b""
		self.connection.received += data
		return data

	def read_until(self, mark):
		got = b""
		while mark not in got and (data := self.read()):
			got += data
		return got

	def read_all(self):
		"""Until the client's end; connection.end tells which kind."""
		try:
			while self.read():
				pass
			self.connection.end = "eof"
		except ssl.SSLError as error:
			if error.reason != "UNEXPECTED_EOF_WHILE_READING":
				raise
			self.connection.end = "truncated"
		except ConnectionResetError:
			self.connection.end = "reset"
		self.connection._ended.set()
		return self.connection.received

	def send(self, data):
		for start in range(0, len(data), 1 << 20):
			self._do(self.tls.write, data[start:start + (1 << 20)])

	def close_notify(self):
		"""TLS's own end of this direction; the other one stays open."""
		try:
			self.tls.unwrap()
		except ssl.SSLWantReadError:
			pass  # the client's close_notify is not waited for
		self.flush()

	def end(self):
		"""close_notify and FIN."""
		self.close_notify()
		self.connection.half_close()


def serve(ssl_context, script, cut=None, dribble=0.0, before=None):
	"""before(connection) runs ahead of the handshake: to hold it, say."""
	def run(connection):
		connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		connection.session = session = Session(connection, ssl_context, cut, dribble)
		if before:
			before(connection)
		try:
			session.handshake()
			script(session)
		except WasCut:
			pass
		except ssl.SSLError as error:
			connection.end = connection.end or "tls: " + error.reason if error.reason else str(error)
			raise
	return run


# --- scripts

def echo(session):
	while data := session.read():
		session.send(data)
	session.connection.end = "eof"
	session.end()
	session.connection._ended.set()


def echo_line(session):
	session.send(session.read_until(b"\n"))
	session.end()
	session.read_all()


def swallow(session):
	session.read_all()


def answer_then_fin(data):
	"""The end without close_notify: what a truncation by somebody on the way looks like."""
	def script(session):
		session.read_until(b"\n")
		session.send(data)
		session.connection.half_close()
		session.read_all()
	return script
