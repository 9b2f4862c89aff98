# SPDX-License-Identifier: MIT
"""Large transfers whose every byte is accounted for."""

import hashlib
import random
import select
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

BLOCK = 1 << 20


def send(sock, size, seed):
	"""Sends size bytes, then the end; returns their digest. No two blocks are equal."""
	body = random.Random(seed).randbytes(BLOCK - 8)
	digest = hashlib.sha256()
	for number in range(0, size, BLOCK):
		block = (struct.pack("!Q", number) + body)[: size - number]
		digest.update(block)
		sock.sendall(block)
	sock.shutdown(socket.SHUT_WR)
	return size, digest.hexdigest()


def receive(sock):
	"""Reads to the end; returns how much came and its digest."""
	digest, size, buffer = hashlib.sha256(), 0, bytearray(BLOCK)
	view = memoryview(buffer)
	while length := sock.recv_into(buffer):
		digest.update(view[:length])
		size += length
	return size, digest.hexdigest()


def both_ways(pairs, size, back=None):
	"""Moves size bytes from one to other and back (default: as many) the other way, on every
	(one, other) pair at once; true when all came whole. A size may be a function of the pair's number."""
	amounts = [each if callable(each) else lambda _, each=each: each for each in (size, back or size)]
	with ThreadPoolExecutor(4 * len(pairs)) as threads:
		jobs = []
		for number, (one, other) in enumerate(pairs):
			for way, (sender, receiver) in enumerate([(one, other), (other, one)]):
				sent = threads.submit(send, sender, amounts[way](number), 2 * number + way)
				jobs.append((sent, threads.submit(receive, receiver)))
		return all(sent.result() == received.result() for sent, received in jobs)


def stuff(sock, ceiling, quiet=0.3):
	"""Sends until nothing more is taken for quiet seconds; returns how much was taken."""
	poll = select.poll()
	poll.register(sock, select.POLLOUT)
	block, taken = bytes(1 << 16), 0
	while poll.poll(quiet * 1000):
		try:
			taken += sock.send(block, socket.MSG_DONTWAIT)
		except BlockingIOError:
			continue
		assert taken <= ceiling, f"{taken} bytes were taken of a sender whose reader does not read"
	return taken
