# SPDX-License-Identifier: MIT
"""A great many bytes whose every one is accounted for, at a memory's pace.

As a program, for the inside of an enclave: what it says is the digest of what it received.

	bulk.py generate SIZE SEED                 writes to its standard output
	bulk.py digest                             reads its standard input
	bulk.py exchange HOST PORT SIZE SEED       sends and receives on one connection, in two threads
"""
import random
import socket
import struct
import sys
import threading
import zlib

BLOCK = 1 << 20
LEAD = 64 << 20  # more than all buffers between two ends hold, much less than a transfer


def blocks(size, seed):
	"""size bytes in blocks, of which no two are equal."""
	body = random.Random(seed).randbytes(BLOCK - 8)
	for start in range(0, size, BLOCK):
		yield (struct.pack("!Q", start) + body)[:size - start]


class Digest:
	"""Length and CRC-32, which tells of every lost, doubled, moved or altered block."""

	def __init__(self):
		self.size = self.sum = 0

	def add(self, data):
		self.size += len(data)
		self.sum = zlib.crc32(data, self.sum)

	def __str__(self):
		return f"{self.size} {self.sum:08x}"


def digest_of(size, seed):
	digest = Digest()
	for block in blocks(size, seed):
		digest.add(block)
	return str(digest)


def read_digest(read_into, progress=lambda count: None):
	"""What read_into(buffer) gives until it gives 0."""
	digest, buffer = Digest(), bytearray(BLOCK)
	view = memoryview(buffer)
	while count := read_into(buffer):
		digest.add(view[:count])
		progress(count)
	return str(digest)


def first(sock, size):
	"""For read_digest: size bytes of a socket, not its end."""
	left = size

	def read_into(buffer):
		nonlocal left
		count = sock.recv_into(memoryview(buffer)[:min(left, len(buffer))]) if left else 0
		left -= count
		return count
	return read_into


class Lockstep:
	"""Lets neither direction run ahead of the other by more than LEAD bytes. A program or a tunnel that
	moves them one after the other stands still for ever."""

	def __init__(self):
		self._changed = threading.Condition()
		self._moved = {"in": 0, "out": 0}

	def move(self, way, count):
		with self._changed:
			self._moved[way] += count
			self._changed.notify_all()
			self._changed.wait_for(lambda: self._moved[way] - min(self._moved.values()) <= LEAD)

	def end(self, way):
		with self._changed:
			self._moved[way] = float("inf")
			self._changed.notify_all()


def send_in_step(sock, size, seed, step):
	try:
		for block in blocks(size, seed):
			sock.sendall(block)
			step.move("out", len(block))
	finally:
		step.end("out")


def exchange(host, port, size, seed):
	"""The simplest full-duplex program. Says how each direction ended."""
	lines = {}

	def attempt(what, work):
		try:
			lines[what] = work()
		except OSError as error:
			lines[what] = type(error).__name__

	def send():
		for block in blocks(size, seed):
			sock.sendall(block)
		sock.shutdown(socket.SHUT_WR)
		return "done"

	sock = socket.create_connection((host, port))
	sender = threading.Thread(target=attempt, args=("sent", send))
	sender.start()
	attempt("received", lambda: read_digest(sock.recv_into))
	sender.join()
	for what in ("sent", "received"):
		print(f"{what}: {lines[what]}")


def main(verb, *words):
	if verb == "generate":
		for block in blocks(*map(int, words)):
			sys.stdout.buffer.write(block)
	elif verb == "digest":
		print(read_digest(sys.stdin.buffer.raw.readinto))
	elif verb == "exchange":
		exchange(words[0], *map(int, words[1:]))


if __name__ == "__main__":
	main(*sys.argv[1:])
