# SPDX-License-Identifier: MIT
"""A relay between an enclave and hostd, on the stand-in, that writes down every byte.

	tap = Tap(f"{directory}/tap.sock", hostd.directory / "hostd.sock")     # tap.endpoint for configurations
	tap.bytes                                                             # both directions, requests too

It keeps the gate: an enclave's request is consumed only once hostd has granted its copy, and a
refused one is left unread.
"""
import errno
import socket
import threading

from support import serving, wire


class Tap:
	def __init__(self, path, hostd_path):
		self.endpoint, self._hostd_path = f"unix:{path}", hostd_path
		self._lock = threading.Lock()
		self._pieces = []
		self._server = serving.Server(serving.listen_unix(path), self._serve)
		self.stop = self._server.stop

	@property
	def bytes(self):
		"""Everything so far, stream by stream and direction by direction."""
		with self._lock:
			return b"\n".join(b"".join(pieces) for pieces in self._pieces)

	def _new_record(self):
		with self._lock:
			self._pieces.append([])
			return self._pieces[-1]

	def _serve(self, enclave):
		record = self._new_record()
		request = enclave.recv(wire.SIZE, socket.MSG_PEEK)
		record.append(request)
		upstream = wire.Opener(self._hostd_path, request, patience=60)
		self._server.keep(upstream.socket)
		if len(request) == wire.SIZE and request[12] == wire.PROXY and not upstream.wait():
			enclave.close()  # with the request unread
			upstream.close()
			return
		enclave.recv(wire.SIZE)
		pumps = [threading.Thread(target=self._pump, args=arguments, daemon=True) for arguments in (
			(enclave, upstream.socket, record), (upstream.socket, enclave, self._new_record()))]
		for pump in pumps:
			pump.start()
		for pump in pumps:
			pump.join()
		upstream.close()

	@staticmethod
	def _is_closed(sock):
		"""After an end: a shutdown leaves the zero-byte send working, a close does not."""
		try:
			sock.send(b"", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
		except OSError as error:
			return error.errno == errno.EPIPE
		return False

	def _pump(self, source, sink, record):
		"""Half-closes after an orderly end; after a bare close both are closed, for the kernel to tell."""
		try:
			while data := source.recv(1 << 16):
				with self._lock:
					record.append(data)
				sink.sendall(data)
			if not self._is_closed(source):
				sink.shutdown(socket.SHUT_WR)
				return
		except OSError:
			pass
		self._close(source)
		self._close(sink)

	@staticmethod
	def _close(sock):
		"""Wakes the other direction's thread, which close() alone would not."""
		try:
			sock.shutdown(socket.SHUT_RD)
		except OSError:
			pass
		sock.close()
