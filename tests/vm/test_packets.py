# SPDX-License-Identifier: MIT
"""What crosses AF_VSOCK, seen by the kernel's monitor: no packet is larger than 31 KiB, however much is
written at once. Larger ones leave newer guest kernels in pieces that some hypervisors do not put together."""
import pathlib
import re
import sys

import pytest

from support import peer, process

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from packet_tap import PacketTap  # noqa: E402

LARGEST = 31744
MEBIBYTE = 1 << 20

WRITE = """
import ctypes, os, socket, sys
size = 1 << 20
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
data = bytes(size)
how = sys.argv[3]
if how == "send":
	sent = sock.send(data)
elif how == "write":
	sent = os.write(sock.fileno(), data)
elif how == "writev":
	sent = os.writev(sock.fileno(), [data[:300000], data[300000:]])
elif how == "sendfile":
	file = os.memfd_create("data")
	os.write(file, data)
	sent = 0
	while sent < size:
		sent += os.sendfile(sock.fileno(), file, sent, size - sent)
elif how == "stdio":
	libc = ctypes.CDLL(None)
	libc.fdopen.restype = ctypes.c_void_p
	stream = ctypes.c_void_p(libc.fdopen(os.dup(sock.fileno()), b"w"))
	sent = libc.fwrite(data, 1, size, stream)
	libc.fflush(stream)
sock.shutdown(socket.SHUT_WR)
while sock.recv(1 << 16):
	pass
print(sent)
"""


def data_packets(tap, from_listener):
	"""By direction: hostd's ports are below those that the kernel picks for openers."""
	return [packet.length for packet in tap.packets if packet.operation == "data"
		and (packet.source < packet.destination) == from_listener]


@pytest.mark.parametrize("how", ["send", "write", "writev", "sendfile"])
def test_a_write_of_one_mebibyte_leaves_in_packets_of_31_kib(airlock, peers, how):
	origin = peers.listen(peer.swallow)
	with PacketTap() as tap:
		result = airlock.run(["/usr/bin/python3", "-c", WRITE, origin.host, origin.port, how])
	assert result.stdout == f"{MEBIBYTE}\n", result
	lengths = data_packets(tap, from_listener=False)
	assert tap.dropped == 0
	assert sum(lengths) >= MEBIBYTE and max(lengths) <= LARGEST, lengths
	# Linux 6.1 sends a file page by page.
	assert lengths.count(LARGEST) >= 25 or how == "sendfile", lengths


def test_hostd_sends_no_larger_packets_either(airlock, background, peers):
	"""By the monitor, and by hostd's own calls, each of which makes a packet."""
	origin = peers.listen(peer.send_then_close(bytes(MEBIBYTE)))
	calls, hostd = airlock.home / "calls", airlock.hostd
	tracer = background(process.Daemon(["strace", "-f", "-s", "0", "-e", "trace=sendto,sendmsg", "-o", str(calls), "-p", str(hostd.pid)]))
	tracer.wait_line("attached")
	with PacketTap() as tap:
		result = airlock.run(["nc.openbsd", "-N", origin.host, origin.port])
	assert len(result.raw) == MEBIBYTE
	lengths = data_packets(tap, from_listener=True)
	assert tap.dropped == 0
	assert sum(lengths) >= MEBIBYTE and max(lengths) <= LARGEST, lengths
	hostd.wait_log(msg="stream ended")
	tracer.stop()
	sent = [int(size) for size in re.findall(r"send(?:to|msg)(?:\(| resumed>).* = (\d+)$", calls.read_text(), re.MULTILINE)]
	assert sum(sent) >= MEBIBYTE and max(sent) <= LARGEST, sent
	assert sent.count(LARGEST) >= 25, sent


def test_the_monitor_would_show_a_larger_one(airlock, peers):
	"""The same write by libc's own stdio, which the library does not see."""
	origin = peers.listen(peer.swallow)
	with PacketTap() as tap:
		result = airlock.run(["/usr/bin/python3", "-c", WRITE, origin.host, origin.port, "stdio"])
	assert result.stdout == f"{MEBIBYTE}\n", result
	assert max(data_packets(tap, from_listener=False)) > LARGEST
