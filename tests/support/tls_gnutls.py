# SPDX-License-Identifier: MIT
"""A TLS server made of GnuTLS, for what Python's ssl cannot send: KeyUpdate, more tickets, warnings.

	origin = peers.listen(tls_gnutls.serve(certificate, script))

script(session) runs after the handshake, in a thread of its own; GnuTLS blocks on the socket.
"""
import ctypes
import socket

SERVER, NO_SIGNAL, NO_AUTO_SEND_TICKET = 1, 1 << 6, 1 << 21  # gnutls.h: gnutls_init_flags_t
SKIP_OCSP_CHECK = 1 << 2  # gnutls_certificate_flags: a server does not look at what it staples
PEM, CERTIFICATES, WARNING, USER_CANCELED = 1, 1, 1, 90
KEY_UPDATE_PEER, SHUT_WR, AGAIN = 1, 1, -28
MODERN, OLD = "NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2"


class Failed(ValueError):
	"""A GnuTLS call's own words."""


class Datum(ctypes.Structure):
	_fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_uint)]


_library = ctypes.CDLL("libgnutls.so.30")
_library.gnutls_strerror.restype = ctypes.c_char_p
for _name in ("gnutls_record_send", "gnutls_record_recv"):
	getattr(_library, _name).restype = ctypes.c_ssize_t


def _call(name, *arguments):
	result = getattr(_library, name)(*arguments)
	if result < 0:
		raise Failed(f"{name}: {_library.gnutls_strerror(ctypes.c_int(result)).decode()}")
	return result


class Session:
	"""One connection, as a script sees it. connection.received holds what was decrypted."""

	def __init__(self, connection, certificate, priority, ticket_key, staple=None):
		self.connection = connection
		connection.received = bytearray()  # appended to without copying it
		self._session, self._credentials = ctypes.c_void_p(), ctypes.c_void_p()
		_call("gnutls_certificate_allocate_credentials", ctypes.byref(self._credentials))
		_call("gnutls_certificate_set_x509_key_file", self._credentials, certificate.chain.encode(),
			certificate.key.encode(), PEM)
		if staple:
			_library.gnutls_certificate_set_flags(self._credentials, SKIP_OCSP_CHECK)
			_call("gnutls_certificate_set_ocsp_status_request_file", self._credentials, staple.encode(), 0)
		_call("gnutls_init", ctypes.byref(self._session), SERVER | NO_SIGNAL | NO_AUTO_SEND_TICKET)
		_call("gnutls_priority_set_direct", self._session, priority.encode(), None)
		_call("gnutls_credentials_set", self._session, CERTIFICATES, self._credentials)
		_call("gnutls_session_ticket_enable_server", self._session, ctypes.byref(ticket_key))
		_library.gnutls_transport_set_int2(self._session, connection.sock.fileno(), connection.sock.fileno())

	def handshake(self):
		_call("gnutls_handshake", self._session)

	def send(self, data):
		while data:
			data = data[_call("gnutls_record_send", self._session, data, ctypes.c_size_t(len(data))):]

	def read(self, size=16384):
		buffer = ctypes.create_string_buffer(size)
		while (count := _library.gnutls_record_recv(self._session, buffer, ctypes.c_size_t(size))) == AGAIN:
			pass  # a KeyUpdate was read: the socket itself blocks
		if count < 0:
			raise Failed(_library.gnutls_strerror(ctypes.c_int(count)).decode())
		self.connection.received += buffer.raw[:count]
		return buffer.raw[:count]

	def key_update(self, of_both=False):
		_call("gnutls_session_key_update", self._session, KEY_UPDATE_PEER if of_both else 0)

	def tickets(self, count):
		_call("gnutls_session_ticket_send", self._session, count, 0)

	@property
	def is_resumed(self):
		return bool(_library.gnutls_session_is_resumed(self._session))

	def warn(self):
		_call("gnutls_alert_send", self._session, WARNING, USER_CANCELED)

	def end(self):
		_call("gnutls_bye", self._session, SHUT_WR)
		self.connection.half_close()

	def close(self):
		_library.gnutls_deinit(self._session)
		_library.gnutls_certificate_free_credentials(self._credentials)


def serve(certificate, script, priority=MODERN, staple=None):
	"""staple: see pki.Issuer.answer_about."""
	ticket_key = Datum()
	_call("gnutls_session_ticket_key_generate", ctypes.byref(ticket_key))

	def run(connection):
		connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		session = Session(connection, certificate, priority, ticket_key, staple)
		try:
			session.handshake()
			script(session)
		finally:
			session.close()
	return run
