# SPDX-License-Identifier: MIT
"""What crosses AF_VSOCK in this guest, packet by packet, as the kernel's own monitor shows it.

	with PacketTap() as tap:
		...
	tap.packets    # Packet(source, destination, operation, length, ...), of ports and bytes

A vsockmon device gets a copy of each packet (drivers/net/vsockmon.c); each begins with a struct af_vsockmon_hdr
(linux/vsockmon.h), and goes on with the transport's own struct virtio_vsock_hdr (linux/virtio_vsock.h).
"""
import collections
import socket
import struct
import subprocess
import threading

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
MONITOR_HEADER = struct.Struct("<QQIIHHH2x")
TRANSPORT_HEADER = struct.Struct("<QQIIIHHIII")
OPERATIONS = ["invalid", "request", "response", "reset", "shutdown", "data", "credit-update", "credit-request"]

Packet = collections.namedtuple("Packet", "source destination operation length allowance consumed")


class PacketTap:
	DEVICE = "vsockmon0"

	def __enter__(self):
		subprocess.run(["ip", "link", "add", self.DEVICE, "type", "vsockmon"], check=True)
		subprocess.run(["ip", "link", "set", self.DEVICE, "up"], check=True)
		self.packets = []
		self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
		self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
		self._socket.bind((self.DEVICE, 0))
		self._socket.settimeout(0.3)
		self._is_over = False
		self._thread = threading.Thread(target=self._collect, daemon=True)
		self._thread.start()
		return self

	def __exit__(self, *_):
		"""Waits until nothing has come for a while."""
		self._is_over = True
		self._thread.join()
		# PACKET_STATISTICS (packet(7)): what did not fit into the buffer.
		_, self.dropped = struct.unpack("II", self._socket.getsockopt(263, 6, 8))
		self._socket.close()
		subprocess.run(["ip", "link", "del", self.DEVICE], check=True)

	def _collect(self):
		while True:
			try:
				data = self._socket.recv(256)
			except TimeoutError:
				if self._is_over:
					return
				continue
			header = TRANSPORT_HEADER.unpack_from(data, MONITOR_HEADER.size)
			_, _, source, destination, length, _, operation, _, allowance, consumed = header
			self.packets.append(Packet(source, destination, OPERATIONS[operation], length, allowance, consumed))
