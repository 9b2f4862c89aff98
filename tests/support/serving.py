# SPDX-License-Identifier: MIT
"""A server with a thread for each connection, for tests that script what is said on it.

	server = Server(listen_unix(path), lambda sock: sock.sendall(b"hello"))
"""
import socket
import threading


def listen_unix(path):
	listener = socket.socket(socket.AF_UNIX)
	listener.bind(str(path))
	listener.listen(256)
	return listener


class Server:
	"""Calls serve(sock) for each connection, and closes sock after it. An OSError in it ends that connection
	alone: the other side, or stop(), has gone ahead."""

	def __init__(self, listener, serve):
		self._serve, self._sockets = serve, [listener]
		threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

	def keep(self, sock):
		"""A further socket that stop() shall close."""
		self._sockets.append(sock)
		return sock

	def stop(self):
		"""Ends all connections. The shutdown wakes the threads, which close() alone would not."""
		for sock in self._sockets:
			try:
				sock.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
			sock.close()

	def _accept(self, listener):
		while True:
			try:
				sock, _ = listener.accept()
			except OSError:
				return
			self.keep(sock)
			threading.Thread(target=self._run, args=(sock,), daemon=True).start()

	def _run(self, sock):
		try:
			with sock:
				self._serve(sock)
		except OSError:
			pass
