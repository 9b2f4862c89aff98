# SPDX-License-Identifier: MIT
"""What carries streams here: AF_VSOCK inside a guest that tests/vm booted, the unix stand-in everywhere
else. Tests name endpoints through this module, and are the same on both.

In a guest hostd listens on CID 1 (vsock_loopback), and whoever connects to it has CID 1 too. With two machines
(tests/vm/outside.py) hostd and the tests are outside of a guest in which only the enclave's side runs: to hostd that
looks like the stand-in, to the enclave like AF_VSOCK.
"""
import itertools
import pathlib
import random
import socket

from support import world

IS_VSOCK = world.is_guest()
CID = 1 if IS_VSOCK else 16  # the enclave's

far = None  # with two machines, a two_machines.Machine

PORTS = 16  # of one hostd
ENCLAVE_WINDOW = 1536 << 10
_first_ports = itertools.count(9000, PORTS)


def new_endpoint(directory, name="hostd.sock"):
	"""For a hostd to listen on; no two are the same."""
	if far:
		return far.new_endpoint()
	if not IS_VSOCK:
		return f"unix:{directory}/{name}"
	first = next(_first_ports)
	return f"vsock:local:{first}-{first + PORTS - 1}"


def enclave_endpoint(endpoint):
	"""The same in an enclave's configuration."""
	return far.enclave_endpoint(endpoint) if far else endpoint


def enclave_side():
	"""What a command begins with that is to run where enclaves do."""
	return far.prefix if far else []


def listen_line(endpoint):
	"""hostd's directive. Only a stand-in says whom it stands for."""
	return f"listen {endpoint}" if endpoint.startswith("vsock:") else f"listen {endpoint} cid={CID}"


def target(endpoint):
	"""What open_socket() takes: a path, or a vsock endpoint as it is."""
	return pathlib.Path(endpoint.removeprefix("unix:")) if endpoint.startswith("unix:") else endpoint


def open_socket(to):
	"""(socket, address to connect it to). For a range of vsock ports, one of them."""
	text = str(to)
	if not text.startswith("vsock:"):
		return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), text.removeprefix("unix:")
	_, cid, ports = text.split(":")
	first, _, last = ports.partition("-")
	stream = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
	for option in (socket.SO_VM_SOCKETS_BUFFER_MAX_SIZE, socket.SO_VM_SOCKETS_BUFFER_SIZE):
		stream.setsockopt(socket.AF_VSOCK, option, ENCLAVE_WINDOW)
	return stream, (1 if cid == "local" else int(cid), random.randint(int(first), int(last or first)))
