#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes down what a parent instance can see: every TCP payload that crosses its network.

	recorder.py FILE      prints "recording" once it listens; on SIGTERM or SIGINT writes FILE and a summary

A packet socket on `lo` (packet(7)) sees the packets themselves; no part of Airlock knows of it. Each
direction of each connection is put together by sequence number, so that a search of FILE finds
what lay across two packets, and FILE holds the streams one after the other.
"""
import signal
import socket
import struct
import sys

ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4  # lo shows each packet twice: leaving and arriving; once is enough
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 64 << 20


def read_tcp(packet):
	"""(flow, sequence, is_syn, payload) of an IPv4 or IPv6 TCP packet, else None."""
	version = packet[0] >> 4
	if version == 4 and packet[9] == socket.IPPROTO_TCP:
		start, end = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)[0]
		addresses = packet[12:20]
	elif version == 6 and packet[6] == socket.IPPROTO_TCP:
		start, end = 40, 40 + struct.unpack_from("!H", packet, 4)[0]
		addresses = packet[8:40]
	else:
		return None
	if end <= start:
		end = len(packet)  # a segment too large for the length field
	ports, sequence, offset, flags = packet[start:start + 4], *struct.unpack_from(
		"!I4xBB", packet, start + 4)
	return addresses + ports, sequence, bool(flags & 2), packet[start + (offset >> 4) * 4:end]


class Recording:
	def __init__(self):
		self.connections = 0
		self._streams = {}  # flow: (first sequence number, {offset: payload})

	def add(self, packet):
		segment = read_tcp(packet)
		if segment is None:
			return
		flow, sequence, is_syn, payload = segment
		if is_syn:
			self._streams.setdefault(flow, (sequence + 1, {}))
			self.connections = len(self._streams)
		elif payload and flow in self._streams:
			first, pieces = self._streams[flow]
			offset = (sequence - first) & 0xFFFFFFFF
			if len(payload) > len(pieces.get(offset, b"")):
				pieces[offset] = payload

	def streams(self):
		"""The bytes of each direction of each connection that carried any."""
		for _, pieces in self._streams.values():
			data = b""
			for offset in sorted(pieces):
				data += pieces[offset][max(0, len(data) - offset):]
			if data:
				yield data


def main(path):
	recording = Recording()
	with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
		try:
			tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
		except PermissionError:  # in a user namespace
			tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
		tap.bind(("lo", ETH_P_ALL))

		def stop(*_):
			tap.setblocking(False)  # what has arrived is read to its end, then the loop finishes

		signal.signal(signal.SIGTERM, stop)
		signal.signal(signal.SIGINT, stop)
		print("recording", flush=True)
		while True:
			try:
				packet, address = tap.recvfrom(1 << 17)
				if address[2] == PACKET_OUTGOING:
					recording.add(packet)
			except BlockingIOError:
				break
		lost = struct.unpack("II", tap.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS
	data = list(recording.streams())
	with open(path, "wb") as file:
		file.writelines(data)
	print(f"{sum(map(len, data))} bytes of TCP payload in {recording.connections // 2} connections")
	return 1 if lost else 0


if __name__ == "__main__":
	sys.exit(main(sys.argv[1]))
